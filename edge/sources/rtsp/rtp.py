"""`EndMarks`: says in a camera's RTP stream where each picture ends, in a way that survives FFmpeg.

RTP sets the marker bit of a picture's last packet (RFC 6184 section 5.1, RFC 7798 section 4.1), and FFmpeg's
demultiplexer drops it. So a packet of our own follows each one that is marked: filler data, which every decoder skips
and which the reader behind FFmpeg knows by its content. It repeats the sequence number of the packet before it, as a
network may repeat packets, so that no other number changes.

Where the camera pauses behind one, another follows, see `EndMarks.paused`.

One more goes ahead of all: FFmpeg looks into the first packet for what the video is like, and would otherwise wait for
a camera that sends seldom, or refuse half a picture. And pieces of one picture get one time stamp: some cameras stamp
each packet anew.
"""

import re
import secrets
from collections.abc import Mapping

RTP_HEAD = 12
_MARKER = 0x80
_CODED = re.compile(rb"(?im)^a=rtpmap:\s*(\d{1,3})\s+(H26[45])/")
_FILLER = b"\x4c\x01"
"""The head of a NAL unit of filler data: of type 12 as H.264 reads it, of type 38 in layer 0 as H.265 does."""
_LARGEST_GAP = 1000
"""Packets that may be missing; a larger step of the sequence number is another sequence, which FFmpeg would refuse."""


def new_mark() -> bytes:
    """The payload of a connection's marks, which no camera can guess; 34 bytes."""
    return _FILLER + secrets.token_hex(16).encode()  # digits: nothing in it looks like a start code


def payload_types(description: bytes) -> dict[int, str]:
    """RTP's numbers for H.264 and H.265 in a session description (SDP), with the codec's name."""
    return {int(number): name.decode().upper() for number, name in _CODED.findall(description)}


class EndMarks:
    """What of a camera's frames is video, with marks. Takes whole interleaved frames (RFC 2326 section 10.12)."""

    def __init__(self, coded: Mapping[int, str], mark: bytes) -> None:
        """`coded`: payload types whose pictures are to be marked."""
        self._coded, self._mark = dict(coded), mark
        self._shift: int | None = None  # what sequence numbers are moved by, once one is known
        self._number = 0  # the last one that FFmpeg got
        self._stamp = b""  # of the packet before
        self._open = False  # whether the picture at hand goes on
        self._last_mark = b""  # while nothing but it came behind its picture

    def first(self, channel: int) -> bytes:
        """What goes ahead of all packets; empty where no codec is known that is marked."""
        if not self._coded:
            return b""
        return self._mark_behind(bytes((0x80, min(self._coded))) + bytes(RTP_HEAD - 2), channel)

    def marked(self, frame: bytes) -> bytes:
        """A frame with at least an RTP packet's head in it, and its mark."""
        head = bytearray(frame[4 : 4 + RTP_HEAD])
        if not self._coded:
            return frame
        in_order = self._renumber(head)
        codec = self._coded.get(head[1] & ~_MARKER)
        if codec is None:
            return frame[:4] + head + frame[4 + RTP_HEAD :]
        if in_order and self._open and _continues(codec, _payload(frame)):
            head[4:8] = self._stamp
        self._stamp, self._open = bytes(head[4:8]), not head[1] & _MARKER
        self._last_mark = b"" if self._open else self._mark_behind(bytes(head), frame[1])
        return frame[:4] + head + frame[4 + RTP_HEAD :] + self._last_mark

    def paused(self) -> bytes:
        """Nothing came for a while: the last mark once more, if nothing came behind it. So the reader need not wait for
        the next picture to believe it."""
        mark, self._last_mark = self._last_mark, b""
        return mark

    def _mark_behind(self, head: bytes, channel: int) -> bytes:
        length = (RTP_HEAD + len(self._mark)).to_bytes(2, "big")
        return b"$" + bytes((channel,)) + length + b"\x80" + head[1:] + self._mark

    def _renumber(self, head: bytearray) -> bool:
        """Go on from the mark that went ahead; whether this packet follows the last one."""
        number = int.from_bytes(head[2:4], "big")
        step = (number - (self._shift or 0) - self._number) & 0xFFFF
        if self._shift is None or _LARGEST_GAP < step < 0x10000 - _LARGEST_GAP:
            self._shift, step = (number - self._number - 1) & 0xFFFF, 1
        if step < 0x8000:
            self._number = (self._number + step) & 0xFFFF
        head[2:4] = ((number - self._shift) & 0xFFFF).to_bytes(2, "big")
        return step == 1


def _payload(frame: bytes) -> bytes:
    """What a packet carries, behind its head, contributing sources and extension."""
    begin = 4 + RTP_HEAD + 4 * (frame[4] & 15)
    if frame[4] & 0x10:
        begin += 4 + 4 * int.from_bytes(frame[begin + 2 : begin + 4], "big")
    return frame[begin:]


def _continues(codec: str, payload: bytes) -> bool:
    """Whether a payload can only be a later piece of a picture: a fragment's rest, or a slice that is not the first."""
    if len(payload) < 4:
        return False
    if codec == "H264":
        kind = payload[0] & 31
        if kind in (28, 29):  # a fragment; its second byte has start, end and the slice's kind
            return not payload[1] & 0x80 or (1 <= payload[1] & 31 <= 5 and not payload[2] & 0x80)
        return 1 <= kind <= 5 and not payload[1] & 0x80
    kind = payload[0] >> 1 & 63
    if kind == 49:
        return not payload[2] & 0x80 or (payload[2] & 63 < 32 and not payload[3] & 0x80)
    return kind < 32 and not payload[2] & 0x80
