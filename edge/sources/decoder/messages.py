"""What a decoder process and its reader say to each other, one datagram each.

The reader trusts nothing that comes: a decoder may be in the hands of whoever sent it a crafted video.
"""

import json
import math
import pickle
import struct
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from edge.ops.pixels import COLOURS, Colours
from edge.sources.base import SourceError
from edge.sources.rtsp.camera_url import CameraUrl
from edge.sources.settings import SourceSettings

LONGEST = 4096
"""Bytes of the longest message to a reader."""
NEEDS_PARSER = 75
"""Exit code of a decoder that cannot go on with its connection, nor make another."""
_LONGEST_TEXT = 500
_HEADER = struct.Struct("<cBIIQqIIdddBBB")
_PACKET = struct.Struct("<cBIqIIddd")
_NO_PTS = -(2**63)  # as FFmpeg has it


@dataclass(frozen=True, slots=True)
class Pinned:
    """A `Resolve` that knows its answer: whoever reads the camera has asked the policy, in its own process."""

    addresses: tuple[str, ...]

    def __call__(self, host: str, port: int) -> list[str]:
        return list(self.addresses)


Task = Literal["cpu", "gpu", "packets", "gstreamer", "probe-gpu", "probe-gstreamer"]
"""cpu: decode with FFmpeg; gpu: the same with the GPU's video unit; packets: hand the video over as it is;
gstreamer: decode with a Jetson's video unit; probe-: say in a note what keeps this machine from that, if anything."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a decoder shall do; the first message to it, with the ring's descriptor."""

    url: CameraUrl
    settings: SourceSettings
    task: Task = "cpu"
    parsed: bool = False
    """Whether FFmpeg has to parse what comes, as is known from a decoder that exited with `NEEDS_PARSER`."""

    @property
    def with_driver(self) -> bool:
        """Whether a GPU's driver is at work in the decoder."""
        return self.task not in ("cpu", "packets")

    def pack(self) -> bytes:
        return pickle.dumps(self)

    @classmethod
    def unpack(cls, message: bytes) -> Self:
        """Only for the decoder: it may trust its reader."""
        job = pickle.loads(message)  # noqa: S301  (from the process that started this one)
        assert isinstance(job, cls)  # noqa: S101
        return job


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture is in the ring."""

    slot: int
    width: int
    height: int
    number: int
    """Pictures decoded before it in this session; a gap means that pictures were dropped."""
    pts: int | None
    time_base: tuple[int, int]
    """Numerator and denominator, seconds per unit of pts; 0, 0 where it is not known."""
    monotonic_s: float
    """When its last packet came, on the system's monotonic clock, which all processes share."""
    unix_s: float
    frame_rate: float | None
    frozen: bool
    """Whether the picture has not changed for so long that the camera must be stuck."""
    damaged: bool
    """Whether most pictures of late were broken."""
    nv12: Colours | None = None
    """How the slot's NV12 becomes BGR; None where it holds BGR."""

    def pack(self) -> bytes:
        return _HEADER.pack(
            *(b"P", self.slot, self.width, self.height, self.number, _NO_PTS if self.pts is None else self.pts),
            *self.time_base,
            *(self.monotonic_s, self.unix_s, self.frame_rate or 0.0, self.frozen, self.damaged),
            0 if self.nv12 is None else 1 + COLOURS.index(self.nv12),
        )

    @property
    def stamp_s(self) -> float | None:
        """The presentation time stamp in seconds."""
        numerator, denominator = self.time_base
        return None if self.pts is None or not denominator else self.pts * numerator / denominator


@dataclass(frozen=True, slots=True)
class Started:
    """The decoder process runs; comes from the server, with a descriptor of the process."""

    pid: int

    def pack(self) -> bytes:
        return b"S" + str(self.pid).encode()


@dataclass(frozen=True, slots=True)
class Exited:
    """The decoder process is gone; comes from the server and is the last message."""

    KIND: ClassVar = b"X"
    code: int
    """Exit code, negative for the signal that killed it."""

    def pack(self) -> bytes:
        return self.KIND + str(self.code).encode()


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth a line of log."""

    text: str

    def pack(self) -> bytes:
        text = "".join(letter if letter.isprintable() else " " for letter in self.text[:_LONGEST_TEXT])  # FFmpeg's, say
        return b"N" + text.encode("ascii", "replace")


@dataclass(frozen=True, slots=True)
class Waiting:
    """Packets flow, and no picture can be made of them yet: a sign of life."""

    for_key: bool = False
    """Whether that is for want of a key picture, from which on video can be decoded."""

    def pack(self) -> bytes:
        return b"W" + (b"k" if self.for_key else b"")


@dataclass(frozen=True, slots=True)
class Format:
    """How the packets that follow are coded."""

    codec: str
    """FFmpeg's name of it."""
    extradata: bytes
    """What stands ahead of the first packet: parameter sets."""

    def pack(self) -> bytes:
        return b"T" + self.codec.encode() + b"\0" + self.extradata


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet of coded video is in the ring. None is ever left out."""

    slot: int
    nbytes: int
    pts: int | None
    time_base: tuple[int, int]
    """As `Picture` has it; and so are the others."""
    monotonic_s: float
    unix_s: float
    frame_rate: float | None

    def pack(self) -> bytes:
        pts = _NO_PTS if self.pts is None else self.pts
        times = (self.monotonic_s, self.unix_s, self.frame_rate or 0.0)
        return _PACKET.pack(b"V", self.slot, self.nbytes, pts, *self.time_base, *times)


Message = Picture | Packet | Format | Note | Waiting | Started | Exited | SourceError


def pack_error(error: SourceError) -> bytes:
    """Why the session is over."""
    return b"F" + json.dumps([error.code, str(error)[:_LONGEST_TEXT], error.unreachable]).encode()


def unpack(message: bytes) -> Message:
    """The message to a reader. Raises ValueError for anything that no decoder of ours sends."""
    kind, body = message[:1], message[1:]
    if kind == b"P":
        return _unpack_picture(message)
    if kind in (b"S", Exited.KIND):
        return Started(int(body)) if kind == b"S" else Exited(int(body))
    if kind == b"N" and body.isascii() and body.decode().isprintable():
        return Note(body[:_LONGEST_TEXT].decode())
    if kind == b"W" and body in (b"", b"k"):
        return Waiting(bool(body))
    if kind == b"T":
        codec, end, extradata = body.partition(b"\0")
        if end and codec.isalnum():
            return Format(codec.decode(), extradata)
    if kind == b"V":
        return _unpack_packet(message)
    if kind == b"F":
        match json.loads(body):
            case [str(code), str(text), bool(unreachable)] if code.isidentifier():
                return SourceError(code[:_LONGEST_TEXT], text[:_LONGEST_TEXT], unreachable=unreachable)
    raise ValueError(f"a decoder sent a message of an unknown kind {kind!r}")


def _unpack_picture(message: bytes) -> Picture:
    try:
        _, slot, width, height, number, pts, numerator, denominator, *rest = _HEADER.unpack(message)
    except struct.error as error:
        raise ValueError(f"a decoder sent a broken picture header: {error}") from None
    monotonic_s, unix_s, frame_rate, frozen, damaged, nv12 = rest
    _check_times(monotonic_s, unix_s, frame_rate)
    if nv12 > len(COLOURS):
        raise ValueError(f"a decoder sent a picture in colours of an unknown kind {nv12}")
    return Picture(
        *(slot, width, height, number, None if pts == _NO_PTS else pts, (numerator, denominator)),
        *(monotonic_s, unix_s, frame_rate or None, bool(frozen), bool(damaged), COLOURS[nv12 - 1] if nv12 else None),
    )


def _unpack_packet(message: bytes) -> Packet:
    try:
        _, slot, nbytes, pts, numerator, denominator, *times = _PACKET.unpack(message)
    except struct.error as error:
        raise ValueError(f"a decoder sent a broken packet header: {error}") from None
    monotonic_s, unix_s, frame_rate = times
    _check_times(monotonic_s, unix_s, frame_rate)
    known = None if pts == _NO_PTS else pts
    return Packet(slot, nbytes, known, (numerator, denominator), monotonic_s, unix_s, frame_rate or None)


def _check_times(*times_s: float) -> None:
    if not all(map(math.isfinite, times_s)):
        raise ValueError("a decoder sent a time that is no number")
