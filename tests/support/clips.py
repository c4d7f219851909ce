"""Clips for tests and demo cameras: write frames as H.264, and read a clip back as RTP payloads ready to send."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.bitstream import BitStreamFilterContext

from edge.arrays import U8

PAYLOAD_BYTES = 1400
"""Longest RTP payload, as cameras choose it for Ethernet."""


def write_clip(
    path: Path, images: Iterable[U8], frame_rate: float = 25.0, gop: int = 12, codec: str = "libx264"
) -> Path:
    """Encode BGR images (H, W, 3) to a file without B-frames, in order, one key picture every `gop` frames."""
    with av.open(str(path), "w") as container:
        stream = None
        for image in images:
            if stream is None:
                stream = container.add_stream(codec, rate=Fraction(frame_rate).limit_denominator(1001))
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt, stream.gop_size, stream.max_b_frames = "yuv420p", gop, 0
                stream.codec_context.thread_count = 1
                if codec == "libx264":
                    stream.options = {"preset": "ultrafast", "tune": "zerolatency", "sc_threshold": "0"}
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        if stream is not None:
            container.mux(stream.encode(None))
    return path


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
class AccessUnit:
    """One coded picture: its RTP payloads in order and when it is shown."""

    payloads: tuple[bytes, ...]
    time_s: float


@dataclass(frozen=True, slots=True)
class Clip:
    """An H.264 clip cut into RTP payloads (RFC 6184, packetization mode 1) once, so that serving it costs little."""

    units: tuple[AccessUnit, ...]
    duration_s: float
    sps: bytes
    pps: bytes


def read_clip(path: Path) -> Clip:
    """Cut a clip into RTP payloads. Raises ValueError unless it is H.264 without B-frames."""
    pictures: list[tuple[float, list[bytes]]] = []
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        if video.codec_context.name != "h264":
            raise ValueError(f"{path} holds {video.codec_context.name}, this server speaks H.264 only")
        to_annexb = BitStreamFilterContext("h264_mp4toannexb", video)
        for packet in container.demux(video):
            for filtered in to_annexb.filter(packet) if packet.size else ():
                if filtered.pts is None or filtered.pts != filtered.dts:
                    raise ValueError(f"{path} has B-frames or no time stamps; encode it again with write_clip")
                pictures.append((float(filtered.pts * filtered.time_base), list(_nal_units(bytes(filtered)))))
        frame_s = float(1 / video.average_rate)
    sps = next(nal for _, nals in pictures for nal in nals if nal[0] & 31 == 7)
    pps = next(nal for _, nals in pictures for nal in nals if nal[0] & 31 == 8)
    start = pictures[0][0]
    units = tuple(AccessUnit(tuple(p for nal in nals for p in _payloads(nal)), t - start) for t, nals in pictures)
    return Clip(units, units[-1].time_s + frame_s, sps, pps)


def _nal_units(annexb: bytes) -> Iterator[bytes]:
    """NAL units of a byte stream, without start codes, access unit delimiters and fillers."""
    for chunk in annexb.split(b"\x00\x00\x01")[1:]:
        nal = chunk.rstrip(b"\x00")
        if nal and nal[0] & 31 not in (9, 12):
            yield nal


def _payloads(nal: bytes) -> Iterator[bytes]:
    """One payload with the whole NAL unit, or its FU-A fragments."""
    if len(nal) <= PAYLOAD_BYTES:
        yield nal
        return
    indicator, kind = (nal[0] & 0xE0) | 28, nal[0] & 0x1F
    for begin in range(1, len(nal), PAYLOAD_BYTES - 2):
        piece = nal[begin : begin + PAYLOAD_BYTES - 2]
        edge = (0x80 if begin == 1 else 0) | (0x40 if begin + len(piece) == len(nal) else 0)
        yield bytes((indicator, edge | kind)) + piece
