"""How one picture lies in the inputs of both networks of a pair, which may be of different sizes.

The prior is the teacher's heatmap in the student's cells. A cell of one map meets a cell of the other where the centre
of one of them lies inside the other. So where the student's cells are the larger ones, each takes in those of the
teacher's whose centres it has; where they are the smaller ones, each takes the one that it lies in. Where several meet
one, the largest value counts: a peak stays a peak. Equal letterboxes meet cell by cell, and nothing changes.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Self

import numpy as np

from edge.arrays import I32, Bool
from edge.ops.letterbox import Letterbox
from engines.signature import STRIDE


@dataclass(frozen=True, slots=True)
class Meetings:
    """Which cells meet which. Every row has the first and last of a range; the last is smaller where it is empty."""

    columns: I32  # (student's w, 2) the teacher's columns that meet each of the student's
    rows: I32  # (student's h, 2)
    columns_back: I32  # (teacher's w, 2) the student's columns that meet each of the teacher's
    rows_back: I32  # (teacher's h, 2)

    @classmethod
    def all_alike(cls, cells: tuple[int, int]) -> Self:
        """Of two maps of the same (h, w)."""
        rows, columns = (np.repeat(np.arange(n, dtype=np.int32)[:, None], 2, axis=1) for n in cells)
        return cls(columns, rows, columns, rows)


@dataclass(frozen=True)  # no slots: cached_property keeps its values in __dict__
class Framing:
    """The letterboxes of one picture size."""

    teacher: Letterbox
    student: Letterbox

    def of(self, looker: Literal["teacher", "student"]) -> Letterbox:
        """That network's."""
        return self.teacher if looker == "teacher" else self.student

    def resized(self, width: int, height: int) -> "Framing":
        """The same networks' of another picture size."""
        teacher, student = (
            Letterbox(width, height, box.input_width, box.input_height) for box in (self.teacher, self.student)
        )
        return Framing(teacher, student)

    @property
    def alike(self) -> bool:
        """Whether both networks get the same picture."""
        return self.teacher == self.student

    @cached_property
    def meetings(self) -> Meetings:
        """Which of the maps' cells meet."""
        a, b = self.teacher, self.student
        columns = _meet(a.left, a.width, a.input_width, b.left, b.width, b.input_width)
        rows = _meet(a.top, a.height, a.input_height, b.top, b.height, b.input_height)
        return Meetings(_ranges(columns.T), _ranges(rows.T), _ranges(columns), _ranges(rows))


def _meet(start: int, length: int, whole: int, start_b: int, length_b: int, whole_b: int) -> Bool:
    """(n, m) whether a cell of the one axis meets a cell of the other.

    The picture lies at `start` to `start + length` of `whole` input pixels, in the other network's input likewise.
    """
    cells, cells_b = whole // STRIDE, whole_b // STRIDE
    scale = length_b / length
    there = ((np.arange(cells) + 0.5) * STRIDE - start) * scale + start_b  # where centres lie in the other's pixels
    back = ((np.arange(cells_b) + 0.5) * STRIDE - start_b) / scale + start
    met: Bool = np.floor(there / STRIDE)[:, None] == np.arange(cells_b)
    met |= np.floor(back / STRIDE) == np.arange(cells)[:, None]
    return met


def _ranges(met: Bool) -> I32:
    """(n, 2) first and last of the columns in which each row of `met` (n, m) is set; 0 and -1 where there is none."""
    first, last = met.argmax(axis=1), met.shape[1] - 1 - met[:, ::-1].argmax(axis=1)
    none = ~met.any(axis=1)
    first[none], last[none] = 0, -1
    return np.stack((first, last), axis=1).astype(np.int32)
