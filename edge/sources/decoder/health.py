"""Pictures that come and are not worth much: `Damage`, most arrive broken; `FrozenPicture`, the camera is stuck."""

import zlib

import av

MEMORY = 0.9
"""Share of the past in the running average: it looks back over about ten pictures."""
BROKEN, WHOLE = 0.5, 0.1


class Damage:
    """Says so from the time that most of the last pictures were broken until hardly one of them is.

    A lost packet now and then is part of life and shows for a moment at most. Half of the pictures broken means a
    camera or a network that somebody should look at, though decoders make up pictures from what they get.
    """

    def __init__(self) -> None:
        self._share = 0.0
        self.most = False
        """Whether it is so now."""

    def count(self, broken: bool) -> None:
        """One more picture, or packet that was to be one, came."""
        self._share = MEMORY * self._share + (1 - MEMORY) * broken
        self.most = self._share > (WHOLE if self.most else BROKEN)


FEWEST = 3


class FrozenPicture:
    """Says so when all key pictures (those that the codec draws anew) of the last `after_s` seconds, three at least,
    are equal in brightness to the last bit.

    A still scene is not that still: the noise of a living sensor changes some pixel of every key picture. The pictures
    in between are not looked at. An encoder may well repeat them exactly while nothing moves; and it refines them, so
    that even a stuck picture differs from one to the next. What looks frozen and is not: a sensor without any noise,
    such as a drawn scene in which nobody moves. What is frozen and goes unnoticed: a stuck picture into which the
    camera draws a running clock, or whose encoder never draws anew or with changing quality.
    """

    def __init__(self, after_s: float) -> None:
        self._after_s = after_s
        self._print: int | None = None
        self._since_s = 0.0
        self._equal = 0
        self._frozen = False

    def look(self, picture: av.VideoFrame, now_s: float) -> bool:
        """Whether the camera is stuck, after one more picture that came at `now_s`."""
        if not picture.key_frame:
            return self._frozen
        fingerprint = zlib.crc32(picture.planes[0])  # of Y, or of all colours where there is one plane only
        if fingerprint != self._print:
            self._print, self._since_s, self._equal = fingerprint, now_s, 0
        self._equal += 1
        self._frozen = self._equal >= FEWEST and now_s - self._since_s >= self._after_s
        return self._frozen
