"""Where a picture lies inside the network's input: scaled to fit, centred, grey around it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from edge.arrays import F32

GREY = 128
"""Value of all three channels around the picture (FairMOT pads with 127.5; the input is uint8)."""


@dataclass(frozen=True)  # no slots: cached_property keeps its values in __dict__
class Letterbox:
    """Map between the source pixels of one picture size and the input pixels of one network (FairMOT's letterbox).

    Coordinates are real numbers over the picture's area, so 0 is its left edge and `source_width` its right one.
    """

    source_width: int
    source_height: int
    input_width: int
    input_height: int

    def __post_init__(self) -> None:
        sizes = (self.source_width, self.source_height, self.input_width, self.input_height)
        if min(sizes) < 1:
            raise ValueError(f"a letterbox needs sizes of at least 1 pixel, got {sizes}")

    @cached_property
    def ratio(self) -> float:
        """Input pixels per source pixel, before the scaled size is rounded to whole pixels."""
        return min(self.input_height / self.source_height, self.input_width / self.source_width)

    @cached_property
    def width(self) -> int:
        """Width of the scaled picture, input pixels."""
        return max(1, round(self.source_width * self.ratio))

    @cached_property
    def height(self) -> int:
        """Height of the scaled picture, input pixels."""
        return max(1, round(self.source_height * self.ratio))

    @cached_property
    def left(self) -> int:
        """Grey columns left of the picture; an odd rest goes to the right."""
        return (self.input_width - self.width) // 2

    @cached_property
    def top(self) -> int:
        """Grey rows above the picture; an odd rest goes below."""
        return (self.input_height - self.height) // 2

    @cached_property
    def _scale(self) -> F32:
        """(4,) input pixels per source pixel as the pixels really lie, for xyxy."""
        x, y = self.width / self.source_width, self.height / self.source_height
        return np.array((x, y, x, y), np.float32)

    @cached_property
    def _offset(self) -> F32:
        """(4,) input pixels of the picture's corner, for xyxy."""
        return np.array((self.left, self.top, self.left, self.top), np.float32)

    def to_input(self, xyxy: F32) -> F32:
        """(N, 4) source pixels -> input pixels."""
        return xyxy * self._scale + self._offset

    def to_source(self, xyxy: F32) -> F32:
        """(N, 4) input pixels -> source pixels; not clipped to the picture."""
        return (xyxy - self._offset) / self._scale
