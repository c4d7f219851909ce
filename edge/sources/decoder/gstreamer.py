"""The decoder process's work on a Jetson: each picture of its video unit into the ring, as NV12.

GStreamer reaches the camera by the same relay as FFmpeg. It tells neither key pictures nor broken ones nor time
stamps, so frozen cameras and damaged video go unnoticed, and a picture's time is that of its arrival.
"""

import time

import numpy as np

from edge.sources.base import SourceError
from edge.sources.decoder.connection import check_size, relayed
from edge.sources.decoder.messages import Job, Picture
from edge.sources.decoder.outlet import Outlet
from edge.sources.gpu import jetson


def decode_with_gstreamer(outlet: Outlet, job: Job) -> None:
    """NV12 pictures until the reader or the camera is gone. Raises SourceError."""
    with relayed(job) as address:
        capture = jetson.open_capture(address)
        if not capture.isOpened():
            raise SourceError("connection_failed", f"GStreamer cannot open {job.url}; check address and credentials")
        number = 0
        while True:
            came, picture = capture.read()
            now = time.monotonic(), time.time()
            if not came:
                break
            pixels = np.ascontiguousarray(picture, np.uint8)
            if not jetson.is_nv12(pixels):
                raise SourceError("decoder_crashed", f"GStreamer hands out {pixels.shape} of {job.url}, not NV12")
            height, width = pixels.shape[0] * 2 // 3, pixels.shape[1]
            check_size(job.url, job.settings, width, height)
            slot = outlet.slot_for_picture()
            if slot is not None:
                outlet.fill(slot, pixels)
                rest = (*now, None, False, False, True)
                outlet.send(Picture(slot, width, height, number, None, (0, 0), *rest))
            number += 1
        capture.release()
        raise SourceError("connection_failed", f"{job.url} closed the connection")
