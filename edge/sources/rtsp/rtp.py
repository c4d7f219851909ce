"""`EndMarks`: says in a camera's RTP stream where each picture ends, in a way that survives FFmpeg.

RTP sets the marker bit of a picture's last packet (RFC 6184 section 5.1, RFC 7798 section 4.1), and FFmpeg's
demultiplexer drops it. So a packet of our own follows each one that is marked: filler data, which every decoder skips
and which the reader behind FFmpeg knows by its content. It repeats the sequence number of the packet before it, as a
network may repeat packets, so that no other number changes.
"""

import re
import secrets

from edge.sources.rtsp.reply_gate import HEAD_END, LENGTH, LONGEST_BODY, LONGEST_HEAD

_RTP_HEAD = 12
_MARKER = 0x80
_CODED = re.compile(rb"(?im)^a=rtpmap:\s*(\d{1,3})\s+H26[45]/")
_FILLER = b"\x4c\x01"
"""The head of a NAL unit of filler data: of type 12 as H.264 reads it, of type 38 in layer 0 as H.265 does."""


def new_mark() -> bytes:
    """The payload of a connection's marks, which no camera can guess; 34 bytes."""
    return _FILLER + secrets.token_hex(16).encode()  # digits: nothing in it looks like a start code


def payload_types(description: bytes) -> frozenset[int]:
    """RTP's numbers for H.264 and H.265 in a session description (SDP)."""
    return frozenset(int(number) for number in _CODED.findall(description))


class EndMarks:
    """What a camera sends once it plays: RTP packets between RTSP messages (RFC 2326 section 10.12).

    Holds back what is not whole, 64 kB of media or 272 kB of text at most. Where the bytes make no sense, everything
    passes as it comes from there on, and nothing is marked any more.
    """

    def __init__(self, coded: frozenset[int], mark: bytes) -> None:
        """`coded`: payload types whose pictures are to be marked."""
        self._coded, self._mark = coded, mark
        self._held = b""
        self._begun = self._lost = False

    def passes(self, received: bytes) -> bytes:
        """The bytes that FFmpeg may have by now."""
        if self._lost:
            return received
        self._held += received
        out, start = [], 0
        while (end := self._end_of_next(start)) is not None:
            part = self._held[start:end]
            out.append(self._marked(part) if part.startswith(b"$") else part)
            start = end
        self._held = self._held[start:]
        return b"".join(out) + self._given_up()

    def _marked(self, packet: bytes) -> bytes:
        """An interleaved packet with its mark; the very first one has a mark before it, too.

        FFmpeg looks into the first packet of all for what the video is like and would refuse half a picture.
        """
        if packet[4] >> 6 != 2 or len(packet) < 4 + _RTP_HEAD or packet[5] & ~_MARKER not in self._coded:
            return packet
        length = (_RTP_HEAD + len(self._mark)).to_bytes(2, "big")
        mark = packet[:2] + length + b"\x80" + packet[5 : 4 + _RTP_HEAD] + self._mark
        before, self._begun = b"" if self._begun else mark, True
        return before + packet + mark if packet[5] & _MARKER else before + packet

    def _given_up(self) -> bytes:
        """What is held, once it makes no sense."""
        if not self._lost:
            return b""
        rest, self._held = self._held, b""
        return rest

    def _end_of_next(self, start: int) -> int | None:
        """Where the packet or message that begins at `start` ends; None: wait for more, or lost."""
        left = len(self._held) - start
        if not left or self._lost:
            return None
        if self._held.startswith((b"\r", b"\n"), start):
            return start + 1
        if not self._held.startswith(b"$", start):
            return self._end_of_text(start)
        if left < 4:
            return None
        length = int.from_bytes(self._held[start + 2 : start + 4], "big")
        self._lost = length < 8  # FFmpeg takes the rest of such a one for text
        return start + 4 + length if left >= 4 + length and not self._lost else None

    def _end_of_text(self, start: int) -> int | None:
        end = HEAD_END.search(self._held, start)
        head = self._held[start : end.start() if end else None]
        if not head[:1].isalpha() or len(head) > LONGEST_HEAD or b"\n$" in head:
            self._lost = True
            return None
        if end is None:
            return None
        length = _body_length(head)
        self._lost = length is None
        return None if length is None or len(self._held) < end.end() + length else end.end() + length


def _body_length(head: bytes) -> int | None:
    """Bytes that follow the head of an RTSP message; None where it is none."""
    first, *headers = head.replace(b"\r", b"").split(b"\n")
    given = [line for line in headers if line.lower().startswith(b"content-length")]
    lengths = [int(match[1]) for line in given if (match := LENGTH.match(line))]
    if (
        b"RTSP/1." not in first
        or len(lengths) != len(given)
        or len(lengths) > 1
        or max(lengths, default=0) > LONGEST_BODY
    ):
        return None
    return lengths[0] if lengths else 0
