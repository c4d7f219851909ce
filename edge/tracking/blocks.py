"""Rows of many lanes behind each other, and the rectangles in which those of one lane meet.

What is computed for each row alone runs over all lanes as one array. What is computed for pairs runs over `Blocks`: one
rectangle for each lane that has both sides, all padded to the size of the largest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from edge.arrays import F32, F64, I32, I64, Bool

Values = TypeVar("Values", F32, F64, I32)


class Rows:
    """Which rows belong to which lane."""

    def __init__(self, counts: Sequence[int]) -> None:
        """`counts`: rows of each lane."""
        self.counts = np.asarray(counts, np.int64)
        self.ends: I64 = self.counts.cumsum()
        self.starts = self.ends - self.counts
        self.lane: I64 = np.repeat(np.arange(len(counts)), self.counts)

    def __len__(self) -> int:
        return len(self.lane)

    def slices(self) -> list[slice]:
        """Of each lane."""
        return [slice(start, end) for start, end in zip(self.starts.tolist(), self.ends.tolist(), strict=True)]


@dataclass(frozen=True, slots=True)
class _Side:
    """Of padded blocks, the rows or the columns."""

    at: tuple[I64, I64]
    """Where each goes."""
    table: I64
    """What lies where, -1 in the padding."""

    def spread(self, values: Values) -> Values:
        """Values (rows, ...) in their places, 0 in the padding."""
        spread: Values = np.zeros((*self.table.shape, *values.shape[1:]), values.dtype)
        spread[self.at] = values
        return spread


class Blocks:
    """Where the rows `rows` meet the columns `columns`, both ordered by lane, in lanes that have both."""

    def __init__(self, rows: I64, row_lanes: I64, columns: I64, column_lanes: I64, lanes: int) -> None:
        self.rows, self.columns, self.shape = rows, columns, (1, len(rows), len(columns))
        self._row_side: _Side | None = None
        self._column_side: _Side | None = None
        if lanes == 1 or not len(rows) or not len(columns):  # nothing to pad
            return
        heights, widths = np.bincount(row_lanes, minlength=lanes), np.bincount(column_lanes, minlength=lanes)
        both = (heights > 0) & (widths > 0)
        block: I64 = both.cumsum() - 1
        count = int(np.count_nonzero(both))
        self.shape = (count, int(heights[both].max(initial=0)), int(widths[both].max(initial=0)))
        self.rows, self._row_side = _places(rows, row_lanes, both, block, (count, self.shape[1]))
        self.columns, self._column_side = _places(columns, column_lanes, both, block, (count, self.shape[2]))

    def __bool__(self) -> bool:
        """Whether anybody can meet."""
        return 0 not in self.shape

    def spread_rows(self, values: Values) -> Values:
        """(B, N, ...) of values (rows of this, ...); 0 in the padding."""
        return values[None] if self._row_side is None else self._row_side.spread(values)

    def spread_columns(self, values: Values) -> Values:
        """(B, M, ...) of values (columns of this, ...); 0 in the padding."""
        return values[None] if self._column_side is None else self._column_side.spread(values)

    def without_padding(self, cost: F64) -> F64:
        """The cost (B, N, M), infinite in the padding, in place."""
        if self._row_side is not None and self._column_side is not None:
            np.copyto(cost, np.inf, where=(self._row_side.table < 0)[:, :, None])
            np.copyto(cost, np.inf, where=(self._column_side.table < 0)[:, None, :])
        return cost

    def named(self, block: I64, row: I64, column: I64) -> tuple[I64, I64]:
        """Which of the rows and columns given at first these places are."""
        if self._row_side is None or self._column_side is None:
            return self.rows[row], self.columns[column]
        return self._row_side.table[block, row], self._column_side.table[block, column]


def _places(chosen: I64, lanes: I64, both: Bool, block: I64, shape: tuple[int, int]) -> tuple[I64, _Side]:
    """Those in lanes that have both, and where they go."""
    kept = both[lanes]
    chosen, at_block = chosen[kept], block[lanes[kept]]
    counts = np.bincount(at_block, minlength=shape[0])
    at = at_block, np.arange(len(chosen)) - np.repeat(counts.cumsum() - counts, counts)
    table: I64 = np.full(shape, -1, np.int64)
    table[at] = chosen
    return chosen, _Side(at, table)
