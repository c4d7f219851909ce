"""Who is who: the cheapest pairing of tracks and detections under a cost limit."""

import lap
import numpy as np

from edge.arrays import F64, I64, Bool


def assign(cost: F64, max_cost: float) -> tuple[I64, I64]:
    """Rows and columns of the pairs of one lane, ordered by row; both (P,). See `assign_all`."""
    _, rows, columns = assign_all(cost[None], max_cost)
    return rows, columns


def assign_all(costs: F64, max_cost: float) -> tuple[I64, I64, I64]:
    """Lanes, rows and columns of the pairs, ordered by lane and row; all (P,). `costs` (L, n, m).

    In each lane, the pairing minimises sum(cost of pairs) + max_cost/2 for every row and every column left alone: a
    pair has to cost less than `max_cost`, and a cheap pair may be given up to save two others. This is a linear
    assignment over the (n+m) x (n+m) extension of a lane's cost (n, m) with max_cost/2 in the off-diagonal blocks and 0
    in the last one, as FairMOT and JDE solve it. Entries that are infinite or not a number are never paired.

    The extension is not built. Leaving a row and a column alone costs max_cost, so subtracting max_cost from every
    entry leaves the same problem with "alone" at 0; entries at or above 0 cannot help and are set to 0, which means
    alone. Of what is left, an entry alone in its row and its column is a pair at once; only rows that compete for
    columns go to the solver.
    """
    _, height, width = costs.shape
    candidates = np.flatnonzero(costs < max_cost)  # flat: several times faster than nonzero() in three dimensions
    in_row, columns = np.divmod(candidates, max(width, 1))  # rows of all lanes counted through
    in_lane, rows = np.divmod(in_row, max(height, 1))
    if not len(rows):
        return in_lane, rows, columns
    in_column = in_lane * width + columns
    rivals = np.bincount(in_row)[in_row] + np.bincount(in_column)[in_column]
    contested = rivals > 2
    if not contested.any():
        return in_lane, rows, columns
    won = ~contested
    for lane in np.unique(in_lane[contested]):
        here = (contested & (in_lane == lane)).nonzero()[0]
        won[here[_solve(costs[lane], max_cost, rows[here], columns[here])]] = True
    return in_lane[won], rows[won], columns[won]


def _solve(cost: F64, max_cost: float, rows: I64, columns: I64) -> Bool:
    """(C,) which of the candidates (rows[i], columns[i]), all cheaper than `max_cost`, the best pairing takes."""
    row_names, row_places = np.unique(rows, return_inverse=True)
    column_names, column_places = np.unique(columns, return_inverse=True)
    size = max(len(row_names), len(column_names))
    gain = np.zeros((size, size))
    gain[row_places, column_places] = cost[rows, columns] - max_cost
    # The solver pairs every row of the square; a pair that gains nothing (padding, no candidate) means alone.
    column_of_row, _ = lap.lapjv(gain, return_cost=False)
    taken: Bool = column_of_row[row_places] == column_places
    return taken
