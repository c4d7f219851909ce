"""The teacher's heatmap in the student's cells, against the definition written down once more, cell by cell."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.arrays import F32
from edge.ops.base import MovedHeatmap
from edge.ops.framing import Framing, Meetings
from edge.ops.host import HostOps
from edge.ops.letterbox import Letterbox
from engines.host import HostStream

sizes = st.tuples(st.integers(1, 9), st.integers(1, 9)).map(lambda of_32: (32 * of_32[0], 32 * of_32[1]))


def framing(source: tuple[int, int], teacher: tuple[int, int], student: tuple[int, int]) -> Framing:
    return Framing(Letterbox(*source, *teacher), Letterbox(*source, *student))


def prior(heatmap: F32, of: Framing) -> F32:
    """Nobody has moved."""
    out = np.full((1, 1, of.student.input_height // 4, of.student.input_width // 4), np.nan, np.float32)
    nobody = np.full(heatmap.shape, -1, np.int32), np.zeros((0, 2), np.int32)
    HostOps().extrapolate([MovedHeatmap(heatmap, *nobody, of)], out, HostStream())
    return out[0, 0]


def reference(heatmap: F32, of: Framing) -> F32:
    """Two cells meet where the centre of one lies in the other; the largest value counts."""

    def there(x: float, y: float, a: Letterbox, b: Letterbox) -> tuple[int, int]:
        """The cell of b in which a centre of a's cells lies."""
        x, y = (4 * (x + 0.5) - a.left) * (b.width / a.width), (4 * (y + 0.5) - a.top) * (b.height / a.height)
        return int(np.floor((x + b.left) / 4)), int(np.floor((y + b.top) / 4))

    out = np.zeros((of.student.input_height // 4, of.student.input_width // 4), np.float32)
    columns = np.zeros((out.shape[1], heatmap.shape[1]), bool)
    rows = np.zeros((out.shape[0], heatmap.shape[0]), bool)
    for axis, met in enumerate((columns, rows)):
        for cell in range(met.shape[1]):
            to = there(cell, cell, of.teacher, of.student)[axis]
            if 0 <= to < len(met):
                met[to, cell] = True
        for cell in range(len(met)):
            at = there(cell, cell, of.student, of.teacher)[axis]
            if 0 <= at < met.shape[1]:
                met[cell, at] = True
    for y, x in np.ndindex(out.shape):
        out[y, x] = heatmap[np.ix_(rows[y], columns[x])].max(initial=0)
    return out


def test_networks_of_one_size_meet_cell_by_cell() -> None:
    alike = framing((640, 480), (96, 64), (96, 64))
    assert alike.alike
    expected = Meetings.all_alike((16, 24))
    for name in ("columns", "rows", "columns_back", "rows_back"):
        assert np.array_equal(getattr(alike.meetings, name), getattr(expected, name))
    heatmap = np.random.default_rng(0).random((16, 24), np.float32)
    assert prior(heatmap, alike).tobytes() == heatmap.tobytes()


@given(st.tuples(st.integers(1, 2000), st.integers(1, 2000)), sizes, sizes, st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_the_prior_is_the_definitions_cell_by_cell(
    source: tuple[int, int], teacher: tuple[int, int], student: tuple[int, int], seed: int
) -> None:
    of = framing(source, teacher, student)
    heatmap = np.random.default_rng(seed).random((teacher[1] // 4, teacher[0] // 4), np.float32)
    np.testing.assert_array_equal(prior(heatmap, of), reference(heatmap, of))


@pytest.mark.parametrize(
    ("teacher", "student"), [((832, 480), (576, 320)), ((1088, 608), (576, 320)), ((576, 320),) * 2]
)
@pytest.mark.parametrize("source", [(1280, 720), (640, 480), (768, 576), (1080, 1920)])
def test_a_peak_stays_a_peak_where_the_person_is(
    source: tuple[int, int], teacher: tuple[int, int], student: tuple[int, int]
) -> None:
    of, rng = framing(source, teacher, student), np.random.default_rng(1)
    for x, y in rng.uniform(0.02, 0.98, (40, 2)) * source:
        heatmap = np.zeros((teacher[1] // 4, teacher[0] // 4), np.float32)
        point = np.array([[x, y, x, y]], np.float32)
        column, row = (of.teacher.to_input(point)[0, :2] // 4).astype(int)
        heatmap[row, column] = 0.8
        moved = prior(heatmap, of)
        there = np.argwhere(moved == np.float32(0.8))
        expected = of.student.to_input(point)[0, 1::-1] / 4
        assert len(there) == 1, "the student's cells are the larger ones, so a cell comes to lie in one"
        assert np.abs(there[0] + 0.5 - expected).max() <= 1.01
