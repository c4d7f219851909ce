import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.ops.objects import Objects, window_radii


def test_nobody_moves_nowhere() -> None:
    assert len(Objects.none()) == 0
    assert Objects.none().shifts(1.0).shape == (0, 2)
    assert window_radii(np.zeros((0, 2), np.float32)).shape == (0,)


@pytest.mark.parametrize(
    ("height", "width", "radius"), [(5, 3, 1.03), (10, 5, 1.84), (20, 8, 3.17), (40, 16, 6.34), (100, 40, 15.86)]
)
def test_radii_are_fairmots_rounded_down(height: float, width: float, radius: float) -> None:
    assert window_radii(np.array([[width, height]], np.float32)).tolist() == [int(radius)]


def test_a_tiny_or_inverted_box_still_has_a_window() -> None:
    assert window_radii(np.array([[0, 0], [1, 1], [-4, 3]], np.float32)).tolist() == [1, 1, 1]


@given(st.floats(1, 200), st.floats(1, 200))
def test_the_radius_is_the_smallest_of_fairmots_three(height: float, width: float) -> None:
    h, w, o = np.ceil(np.float32(height)), np.ceil(np.float32(width)), 0.7
    solutions = (
        (h + w + np.sqrt((h + w) ** 2 - 4 * w * h * (1 - o) / (1 + o))) / 2,
        (2 * (h + w) + np.sqrt(4 * (h + w) ** 2 - 16 * (1 - o) * w * h)) / 2,
        (-2 * o * (h + w) + np.sqrt(4 * o * o * (h + w) ** 2 - 16 * o * (o - 1) * w * h)) / 2,
    )
    expected = min(solutions)
    assert abs(expected - round(expected)) < 1e-9 or window_radii(np.array([[width, height]], np.float32)) == max(
        1, int(expected)
    )


def _objects(velocity: tuple[float, float]) -> Objects:
    centre, sides = np.array([[10.3, 20.9]], np.float32), np.array([[4, 9]], np.float32)
    return Objects.from_boxes(centre, sides, np.array([velocity], np.float32))


def test_a_shift_is_the_change_of_the_centres_cell() -> None:
    objects = _objects((5.0, -2.0))
    assert objects.shifts(0.1).tolist() == [[0, 0]]  # 10.8, 20.7
    assert objects.shifts(0.2).tolist() == [[1, 0]]  # 11.3, 20.5
    assert objects.shifts(0.5).tolist() == [[2, -1]]  # 12.8, 19.9


def test_nobody_is_faster_than_a_box_per_thirtieth_of_a_second() -> None:
    assert _objects((1e6, -1e6)).velocities == pytest.approx(np.array([[4 * 30, -9 * 30]]))


@given(st.floats(-300, 300, width=32), st.floats(-300, 300, width=32))
def test_no_time_and_no_velocity_are_no_shift(x: float, y: float) -> None:
    assert not _objects((x, y)).shifts(0.0).any()
    assert not _objects((0.0, 0.0)).shifts(abs(x)).any()
