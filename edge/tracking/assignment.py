"""Who is who: the cheapest pairing of tracks and detections under a cost limit."""

import lap
import numpy as np

from edge.arrays import F64, I64


def assign(cost: F64, max_cost: float) -> tuple[I64, I64]:
    """Rows and columns of the pairs, ordered by row; both (P,).

    The pairing minimises sum(cost of pairs) + max_cost/2 for every row and every column left alone: a pair has to cost
    less than `max_cost`, and a cheap pair may be given up to save two others. This is a linear assignment over the
    (n+m) x (n+m) extension of `cost` (n, m) with max_cost/2 in the off-diagonal blocks and 0 in the last one, as
    FairMOT and JDE solve it. Entries that are infinite or not a number are never paired.

    The extension is not built. Leaving a row and a column alone costs max_cost, so subtracting max_cost from every
    entry leaves the same problem with "alone" at 0; entries at or above 0 cannot help and are set to 0, which means
    alone. Of what is left, an entry alone in its row and its column is a pair at once; only rows that compete for
    columns go to the solver.
    """
    candidates = np.flatnonzero(cost < max_cost)  # flat: several times faster than nonzero() in two dimensions
    rows, columns = np.divmod(candidates, max(cost.shape[1], 1))
    if not len(rows):
        return rows, columns
    rivals = np.bincount(rows)[rows] + np.bincount(columns)[columns]
    contested = rivals > 2
    if not contested.any():
        return rows, columns
    alone = ~contested
    more_rows, more_columns = _solve(cost, max_cost, rows[contested], columns[contested])
    rows = np.concatenate((rows[alone], more_rows))
    columns = np.concatenate((columns[alone], more_columns))
    order = rows.argsort()
    return rows[order], columns[order]


def _solve(cost: F64, max_cost: float, rows: I64, columns: I64) -> tuple[I64, I64]:
    """Best pairing among the candidates (rows[i], columns[i]), all cheaper than `max_cost`."""
    row_names, row_places = np.unique(rows, return_inverse=True)
    column_names, column_places = np.unique(columns, return_inverse=True)
    size = max(len(row_names), len(column_names))
    gain = np.zeros((size, size))
    gain[row_places, column_places] = cost[rows, columns] - max_cost
    # The solver pairs every row of the square; a pair that gains nothing (padding, no candidate) means alone.
    column_of_row, _ = lap.lapjv(gain, return_cost=False)
    places = np.arange(size)
    real = gain[places, column_of_row] < 0
    return row_names[places[real]], column_names[column_of_row[real]]
