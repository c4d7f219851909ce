"""`FrozenPicture`: is the camera stuck, though it goes on sending?"""

import zlib

import av

SAMPLE_EVERY_S = 0.5
KEY_PICTURES = 2


class FrozenPicture:
    """Says so when the picture's brightness, looked at twice a second, has not changed in one bit for `after_s`
    seconds, and the codec has sent two key pictures meanwhile.

    A still scene is not that still: the noise of a living sensor changes some pixel in every key picture. Between two
    of them an encoder may well repeat its picture exactly, which is why time alone does not count; cameras that save
    bandwidth send key pictures ten seconds apart and more. What no noise can undo: a lens cap on a sensor without any,
    or a drawn test picture, is called frozen too. A clock that the camera draws into a stuck picture hides the trouble.
    """

    def __init__(self, after_s: float) -> None:
        self._after_s = after_s
        self._print: int | None = None
        self._since_s = self._sampled_s = 0.0
        self._key_pictures = 0
        self._frozen = False

    def look(self, picture: av.VideoFrame, now_s: float) -> bool:
        """Whether the camera is stuck, after one more picture that came at `now_s`."""
        self._key_pictures += picture.key_frame
        if self._print is not None and now_s < self._sampled_s + SAMPLE_EVERY_S:
            return self._frozen
        self._sampled_s = now_s
        fingerprint = zlib.crc32(picture.planes[0])  # of Y, or of all colours where there is one plane only
        if fingerprint != self._print:
            self._print, self._since_s, self._key_pictures = fingerprint, now_s, 0
        self._frozen = now_s - self._since_s >= self._after_s and self._key_pictures >= KEY_PICTURES
        return self._frozen
