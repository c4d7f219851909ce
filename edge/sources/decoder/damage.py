"""`Damage`: does more than half of the video arrive broken?"""

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
