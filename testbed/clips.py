"""Clips for tests and demo cameras: write frames as video, and read a clip back as RTP payloads ready to send."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.bitstream import BitStreamFilterContext
from av.video.stream import VideoStream

from edge.arrays import U8
from edge.sources import open_source


@dataclass(frozen=True, slots=True)
class Coding:
    """How a codec's NAL units are told apart."""

    name: str
    """As RTP has it."""
    shift: int
    mask: int
    """Where the kind stands in the first byte."""
    sets: tuple[int, ...]
    left_out: tuple[int, ...]

    def kind_of(self, nal: bytes) -> int:
        return nal[0] >> self.shift & self.mask


H264 = Coding("H264", 0, 31, (7, 8), (9, 12))
H265 = Coding("H265", 1, 63, (32, 33, 34), (35, 38))
CODINGS = {"h264": H264, "hevc": H265}
JPEG, MPEG4 = Coding("JPEG", 0, 0, (), ()), Coding("MP4V-ES", 0, 0, (), ())
"""Without NAL units; see `packetize`."""

PAYLOAD_BYTES = 1400
"""Longest RTP payload, as cameras choose it for Ethernet."""


def write_clip(
    path: Path,
    images: Iterable[U8],
    frame_rate: float = 25.0,
    gop: int = 12,
    codec: str = "libx264",
    options: Mapping[str, str] | None = None,
    pix_fmt: str = "yuv420p",
) -> Path:
    """Encode BGR images (H, W, 3) to a file, one key picture every `gop` frames; without B-frames unless asked for.

    `options`: the encoder's own, instead of those for no delay.
    """
    with av.open(str(path), "w") as container:
        stream = None
        for image in images:
            if stream is None:
                stream = cast(
                    VideoStream, container.add_stream(codec, rate=Fraction(frame_rate).limit_denominator(1001))
                )
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt, stream.gop_size = pix_fmt, gop
                stream.codec_context.thread_count = 1
                if options is None:
                    stream.max_b_frames = 0
                no_delay = {"preset": "ultrafast", "tune": "zerolatency", "sc_threshold": "0"}
                stream.options = dict(options or (no_delay if codec == "libx264" else {}))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        if stream is not None:
            container.mux(stream.encode(None))
    return path


def record(url: str, path: Path, seconds: float = 20.0) -> Path:
    """Encode the first `seconds` of any source as a clip that a camera can loop."""
    source = open_source(url)
    rate = source.frame_rate or 25.0
    try:
        return write_clip(path, (frame.image for frame in islice(source, round(seconds * rate))), frame_rate=rate)
    finally:
        source.close()


BARS = 12


def numbered_image(number: int, width: int = 320, height: int = 192) -> U8:
    """A picture (H, W, 3) that carries its number (0 to 4095) as black and white bars; survives lossy coding."""
    image = np.full((height, width, 3), 96, np.uint8)
    bar = width // BARS
    for bit in range(BARS):
        image[: height // 2, bit * bar : (bit + 1) * bar] = 235 if number >> bit & 1 else 20
    image[height // 2 :, : (number * 7) % width] = (40, 160, 220)
    return image


def read_number(image: U8) -> int:
    """The number drawn by `numbered_image`."""
    height, width = image.shape[:2]
    bar = width // BARS
    row = image[height // 4, :, 1].astype(np.int64)
    return sum(1 << bit for bit in range(BARS) if row[bit * bar + bar // 2] > 128)


@dataclass(frozen=True, slots=True)
class PacketizedPicture:
    """One coded picture: its RTP payloads in order, when it is sent and when it is shown."""

    payloads: tuple[bytes, ...]
    sent_s: float
    time_s: float


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip cut into RTP payloads (RFC 6184, RFC 7798) once, so that serving it costs little."""

    units: tuple[PacketizedPicture, ...]
    """In the order of coding."""
    duration_s: float
    coding: Coding
    sets: tuple[bytes, ...]
    """Parameter sets: SPS and PPS, of H.265 a VPS before them."""


def read_clip(path: Path) -> Clip:
    """Cut a clip into RTP payloads. Raises ValueError unless it is H.264 or H.265 with time stamps."""
    units: list[PacketizedPicture] = []
    sets: dict[int, bytes] = {}
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        coding = CODINGS.get(video.codec_context.name)
        if coding is None:
            raise ValueError(f"{path} holds {video.codec_context.name}, this server speaks H.264 and H.265 only")
        to_annexb = BitStreamFilterContext(f"{video.codec_context.name}_mp4toannexb", video)
        for packet in container.demux(video):
            for filtered in to_annexb.filter(packet) if packet.size else ():
                if filtered.pts is None or filtered.dts is None:
                    raise ValueError(f"{path} has no time stamps; encode it again with write_clip")
                nals = list(_nal_units(bytes(filtered), coding))
                for nal in nals:
                    if coding.kind_of(nal) in coding.sets:
                        sets.setdefault(coding.kind_of(nal), nal)
                payloads = tuple(payload for nal in nals for payload in _payloads(nal, coding))
                tick_s = float(filtered.time_base)
                units.append(PacketizedPicture(payloads, filtered.dts * tick_s, filtered.pts * tick_s))
        frame_s = float(1 / (video.average_rate or 25))
    start_s, first_s = units[0].sent_s, units[0].time_s
    units = [replace(unit, sent_s=unit.sent_s - start_s, time_s=unit.time_s - first_s) for unit in units]
    return Clip(tuple(units), units[-1].sent_s + frame_s, coding, tuple(sets[kind] for kind in coding.sets))


def _nal_units(annexb: bytes, coding: Coding) -> Iterator[bytes]:
    """NAL units of a byte stream, without start codes, access unit delimiters and fillers."""
    for chunk in annexb.split(b"\x00\x00\x01")[1:]:
        nal = chunk.rstrip(b"\x00")
        if nal and coding.kind_of(nal) not in coding.left_out:
            yield nal


def _payloads(nal: bytes, coding: Coding) -> Iterator[bytes]:
    """One payload with the whole NAL unit, or its fragments (FU-A of H.264, FU of H.265)."""
    if len(nal) <= PAYLOAD_BYTES:
        yield nal
        return
    kind = coding.kind_of(nal)
    fragment = bytes((nal[0] & 0xE0 | 28,)) if coding is H264 else bytes((nal[0] & 0x81 | 49 << 1, nal[1]))
    room = PAYLOAD_BYTES - len(fragment) - 1
    for begin in range(len(fragment), len(nal), room):
        piece = nal[begin : begin + room]
        edge = (0x80 if begin == len(fragment) else 0) | (0x40 if begin + len(piece) == len(nal) else 0)
        yield fragment + bytes((edge | kind,)) + piece


def packetize(images: Iterable[U8], coding: Coding, frame_rate: float = 25.0) -> Clip:
    """Encode BGR images as `JPEG` or `MPEG4` and let FFmpeg cut them into RTP payloads."""
    codec, layout = ("mjpeg", "yuvj420p") if coding is JPEG else ("mpeg4", "yuv420p")
    writer = _Packets()
    with av.open(writer, "w", format="rtp", options={"packetsize": str(12 + PAYLOAD_BYTES)}) as container:
        stream = None
        for image in images:
            if stream is None:
                stream = cast(VideoStream, container.add_stream(codec, rate=Fraction(frame_rate)))
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt, stream.bit_rate = layout, 4_000_000
                stream.options = {"huffman": "default"} if coding is JPEG else {}
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        if stream is not None:
            container.mux(stream.encode(None))
    pictures: dict[bytes, list[bytes]] = {}
    for packet in writer.packets:
        if not 200 <= packet[1] <= 204:  # RTCP's
            pictures.setdefault(packet[4:8], []).append(packet[12:])
    units = [
        PacketizedPicture(tuple(payloads), i / frame_rate, i / frame_rate)
        for i, payloads in enumerate(pictures.values())
    ]
    return Clip(tuple(units), len(units) / frame_rate, coding, ())


class _Packets:
    """A file to whom FFmpeg writes one packet at a time."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []

    def write(self, packet: bytes) -> int:
        self.packets.append(bytes(packet))
        return len(packet)
