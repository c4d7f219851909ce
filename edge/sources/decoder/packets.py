"""The decoder process's work where another decodes: each packet of the camera's video into the ring, as it came."""

import numpy as np

from edge.sources.decoder.connection import camera_video
from edge.sources.decoder.messages import Format, Job, Packet
from edge.sources.decoder.outlet import Outlet
from edge.sources.decoder.pictures import ratio


def hand_packets_over(outlet: Outlet, job: Job) -> None:
    """Packets until the reader or the camera is gone. A reader that is late keeps the camera waiting."""
    with camera_video(job) as video:
        codec = video.stream.codec_context
        outlet.send(Format(codec.codec.canonical_name, codec.extradata or b""))  # av1, not one of its decoders
        for picture in video.pictures():
            packet = picture.packet
            slot = outlet.slot_for_packet()
            outlet.fill(slot, np.frombuffer(bytes(packet), np.uint8))
            times = (ratio(packet.time_base), picture.monotonic_s, picture.unix_s, video.frame_rate)
            outlet.send(Packet(slot, packet.size, packet.pts, *times))
