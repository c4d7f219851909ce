"""`AccessUnits`: whole coded pictures out of the pieces in which RTP carries H.264 and H.265.

A picture is over where RTP says so (its mark, see `edge.sources.rtsp.rtp`), or else where the next one begins: what
FFmpeg's parser waits for, one frame period later. Cameras set RTP's marker at each slice, at parameter sets or not at
all, too. So marks count after `PROOF` pictures that ended at theirs, and never again once a picture went on behind one.
Two in a row are the relay's word that the camera paused behind the first: that is enough for the picture at hand.
"""

import re
from dataclasses import dataclass

PROOF = 8
"""Pictures that end at their mark before marks count."""
PAUSE_S, PROOF_PAUSED = 0.2, 4
"""A pause behind a mark, and for how many pictures without one it counts: slices of one picture come at once."""
MOST_BYTES = 1 << 24
"""Of one picture; more than 4096x2304 pixels have uncoded (4:2:0)."""
_START = b"\x00\x00\x00\x01"
"""What FFmpeg puts before each NAL unit, and before the first fragment of one."""


@dataclass(frozen=True, slots=True)
class _Syntax:
    """Where the head of a NAL unit says what is in it."""

    slices: re.Pattern[bytes]
    """Finds a slice anywhere in a piece."""
    begins: re.Pattern[bytes]
    """Matches the piece that can only be a picture's first: of parameter sets and the like, or of the first slice."""
    key: re.Pattern[bytes]
    """Finds what video can be decoded from: a slice that refers to nothing before it, or the word that it can be."""


_SYNTAXES = {
    "h264": _Syntax(  # ITU-T H.264 table 7-1 and section 7.4.1.2.3; a slice's first bit: it begins with macroblock 0
        re.compile(rb"\x00\x00\x01[\x01-\x05\x21-\x25\x41-\x45\x61-\x65]"),
        re.compile(
            rb"\x00\x00\x00\x01(?:[\x06-\x09\x26-\x29\x46-\x49\x66-\x69]"
            rb"|[\x01\x05\x21\x25\x41\x45\x61\x65][\x80-\xff])"
        ),
        re.compile(rb"\x00\x00\x01(?:[\x05\x25\x45\x65]|[\x06\x26\x46\x66]\x06)"),  # IDR, or a recovery point
    ),
    "hevc": _Syntax(  # ITU-T H.265 table 7-1 and section 7.4.2.4.4; a slice's first bit: it begins with block 0
        re.compile(rb"\x00\x00\x01[\x00-\x3f]"),
        re.compile(rb"(?s)\x00\x00\x00\x01(?:[\x40-\x47\x4e\x4f]|[\x00-\x3f].[\x80-\xff])"),
        re.compile(rb"\x00\x00\x01[\x20-\x2f]"),
    ),
}
CODECS = tuple(_SYNTAXES)
"""FFmpeg's names of the codecs whose pictures come in pieces."""


@dataclass(frozen=True, slots=True)
class AccessUnit:
    """A coded picture with all that stands before it."""

    coded: bytes
    pts: int | None
    came: tuple[float, float]
    """When its last piece did: on the monotonic clock and as Unix time."""
    key: bool = False
    """Whether it says that video can be decoded from it on."""


class AccessUnits:
    """Joins the pieces of one connection."""

    def __init__(self, codec: str, mark: bytes) -> None:
        """`codec`: one of `CODECS`; `mark`: the payload of the packets that `EndMarks` puts in."""
        self._syntax, self._mark = _SYNTAXES[codec], _START + mark
        self._pieces: list[bytes] = []
        self._nbytes = 0
        self._came = (0.0, 0.0)
        self._pts: int | None = None  # of the picture's first slice
        self._key = False  # whether it can be decoded by itself
        self._sliced = False  # whether the picture at hand has a slice by now
        self._marked = False  # whether a mark followed its last piece
        self._right: int | None = 0  # pictures that ended at their mark; None: one did not

    def add(self, piece: bytes, pts: int | None, came: tuple[float, float]) -> AccessUnit | None:
        """One more piece; returns the picture that is whole with it, or was before it."""
        if piece == self._mark:
            paused, self._marked = self._marked, self._sliced
            believed = self._right is not None and (paused or self._right >= PROOF)
            return self._cut() if self._marked and believed else None
        unit = None
        if self._sliced and (pts != self._pts or self._syntax.begins.match(piece)):
            unit = self._cut()
            if self._right is not None and self._marked:
                self._right += PROOF_PAUSED if came[0] - self._came[0] > PAUSE_S else 1
            self._sliced = self._marked = self._key = False
        elif self._marked:
            self._right, self._marked = None, False
        if not self._sliced and (not piece.startswith(_START) or self._syntax.slices.search(piece)):
            self._sliced, self._pts = True, pts
        self._key = self._key or self._syntax.key.search(piece) is not None
        self._pieces.append(piece)
        self._nbytes += len(piece)
        self._came = came
        return self._cut() if self._nbytes > MOST_BYTES else unit

    def _cut(self) -> AccessUnit | None:
        """What is at hand; None where that was handed out already."""
        if not self._pieces:
            return None
        unit = AccessUnit(b"".join(self._pieces), self._pts, self._came, self._key)
        self._pieces, self._nbytes = [], 0
        return unit
