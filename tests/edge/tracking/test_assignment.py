"""The pairing against SciPy's on the dense (n+m) extension, which is the definition."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from edge.arrays import F64
from edge.tracking.assignment import assign


def total(cost: F64, rows: F64, columns: F64, max_cost: float) -> float:
    """What the pairing minimises."""
    alone = sum(cost.shape) - 2 * len(rows)
    return float(cost[rows, columns].sum()) + alone * max_cost / 2


def by_definition(cost: F64, max_cost: float) -> tuple[F64, F64]:
    """Pairs that SciPy finds on the extension."""
    n, m = cost.shape
    extension = np.full((n + m, n + m), max_cost / 2)
    extension[:n, :m] = np.where(np.isfinite(cost), cost, 1e6)
    extension[n:, m:] = 0
    rows, columns = linear_sum_assignment(extension)
    real = (rows < n) & (columns < m)
    return rows[real], columns[real]


@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (4, 0)])
def test_nobody_or_nothing_gives_no_pairs(shape: tuple[int, int]) -> None:
    rows, columns = assign(np.zeros(shape), 0.4)
    assert len(rows) == len(columns) == 0


def test_pairs_at_or_above_the_limit_infinite_or_not_a_number_are_not_made() -> None:
    cost = np.array([[0.4, np.inf], [np.nan, 0.5]])
    assert len(assign(cost, 0.4)[0]) == 0
    assert len(assign(np.full((3, 3), np.inf), 0.4)[0]) == 0


def test_the_cheapest_pair_is_given_up_when_two_others_are_worth_more() -> None:
    cost = np.array([[0.1, 0.2], [0.2, 9.0]])
    rows, columns = assign(cost, 0.4)
    assert list(zip(rows, columns, strict=True)) == [(0, 1), (1, 0)]


def test_one_cheap_pair_beats_two_that_hardly_pay() -> None:
    cost = np.array([[0.1, 0.39], [0.39, 9.0]])
    rows, columns = assign(cost, 0.4)
    assert list(zip(rows, columns, strict=True)) == [(0, 0)]


@pytest.mark.parametrize("infinite", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("reach", [0.6, 2.0, 10.0])
def test_random_costs_give_the_pairs_of_the_definition(infinite: float, reach: float) -> None:
    rng = np.random.default_rng(int(10 * infinite + 100 * reach))
    for _ in range(150):
        cost = rng.uniform(0, reach, rng.integers(0, 25, 2))
        cost[rng.random(cost.shape) < infinite] = np.inf
        rows, columns = assign(cost, 0.5)
        expected_rows, expected_columns = by_definition(cost, 0.5)
        assert rows.tolist() == expected_rows.tolist()
        assert columns.tolist() == expected_columns.tolist()


def test_equal_costs_give_a_pairing_of_the_same_worth() -> None:
    rng = np.random.default_rng(7)
    for _ in range(200):
        cost = rng.integers(0, 4, rng.integers(0, 12, 2)) / 4
        cost[rng.random(cost.shape) < 0.3] = np.inf
        pairs = assign(cost, 0.75)
        assert len(set(pairs[0])) == len(set(pairs[1])) == len(pairs[0])
        assert total(cost, *pairs, 0.75) == pytest.approx(total(cost, *by_definition(cost, 0.75), 0.75))


def test_a_view_with_strides_is_read_as_it_is() -> None:
    cost = np.array([[9.0, 0.1], [9.0, 9.0], [0.2, 9.0]])
    rows, columns = assign(cost.T, 0.4)
    assert list(zip(rows, columns, strict=True)) == [(0, 2), (1, 0)]
