"""Which corners make a polygon, and points in polygons, against independent answers."""

import random
from fractions import Fraction

import matplotlib.path
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.zones.shape import GRID, ShapeError, check_line, check_polygon, orientation, snap
from service.zones.zone import Line, Polygon
from service.zones.zone_map import ZoneMap

SQUARE = ((0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8))


@pytest.mark.parametrize(
    ("corners", "message"),
    [
        ((), "at least 3 corners, got 0"),
        (((0, 0), (1, 1)), "at least 3 corners, got 2"),
        (((0, 0), (0, 0), (1, 1)), "corners 1 and 2 are the same point"),
        (((0, 0), (1, 1), (0, 1), (0, 0)), "corners 4 and 1 are the same point"),
        (((0, 0), (0.5, 0.5), (1, 1)), "all corners lie on one line"),
        (((0, 0), (1, 1), (1, 0), (0, 1)), "begin at corners 1 and 3 cross or touch"),
        (((0, 0), (1, 0), (1, 1), (0.5, 0), (0, 1)), "cross or touch"),  # a corner on another edge
        (((0, 0), (1, 0), (0.5, 0), (0.5, 1)), "cross or touch"),  # turns back on itself
    ],
)
def test_corners_that_make_no_polygon_are_refused_with_a_reason(
    corners: tuple[tuple[float, float], ...], message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        check_polygon(corners)


@pytest.mark.parametrize(
    "corners",
    [
        SQUARE,
        SQUARE[::-1],
        ((0, 0), (1, 0), (1, 1)),
        ((0, 0), (0.5, 0), (1, 0), (1, 1)),  # a corner on a straight edge
        ((0, 0), (1, 0), (1, 1), (0.5, 0.1), (0, 1)),  # not convex
    ],
)
def test_polygons_of_every_kind_are_accepted(corners: tuple[tuple[float, float], ...]) -> None:
    check_polygon(corners)


def test_line_needs_two_points_that_differ_on_the_grid() -> None:
    check_line(((0.5, 0.5), (0.5, 0.6)))
    with pytest.raises(ShapeError, match="two different points"):
        check_line(((0.5, 0.5), (0.5, 0.5 + 0.1 / GRID)))


grid = st.integers(0, 6)
corner = st.tuples(grid, grid)


def _meet(a: tuple, b: tuple, c: tuple, d: tuple) -> bool:
    """Whether two segments have a point in common: solved with fractions, not by orientations."""
    (rx, ry), (sx, sy), (qx, qy) = (b[0] - a[0], b[1] - a[1]), (d[0] - c[0], d[1] - c[1]), (c[0] - a[0], c[1] - a[1])
    det = rx * sy - ry * sx
    if det:
        return 0 <= Fraction(qx * sy - qy * sx, det) <= 1 and 0 <= Fraction(qx * ry - qy * rx, det) <= 1
    if qx * ry != qy * rx:
        return False
    along = 0 if rx else 1
    low, high = sorted((a[along], b[along]))
    return max(low, min(c[along], d[along])) <= min(high, max(c[along], d[along]))


def _is_simple(corners: list[tuple[int, int]]) -> bool:
    edges = list(zip(corners, corners[1:] + corners[:1], strict=True))
    if any(a == b for a, b in edges):
        return False
    for i, (a, b) in enumerate(edges):
        for j, (c, d) in enumerate(edges[i + 1 :], i + 1):
            if j == i + 1 or (i == 0 and j == len(edges) - 1):
                shared, one, other = (b, a, d) if j == i + 1 else (a, b, c)
                if len(edges) == 3 and j == 2 and i == 0:
                    shared, one, other = a, b, c
                cross = (one[0] - shared[0]) * (other[1] - shared[1]) - (one[1] - shared[1]) * (other[0] - shared[0])
                dot = (one[0] - shared[0]) * (other[0] - shared[0]) + (one[1] - shared[1]) * (other[1] - shared[1])
                if cross == 0 and dot > 0:
                    return False
            elif _meet(a, b, c, d):
                return False
    return True


@given(st.lists(corner, min_size=3, max_size=7))
@settings(deadline=None, max_examples=300)
def test_polygons_accepted_are_the_simple_ones(corners: list[tuple[int, int]]) -> None:
    try:
        check_polygon([(x / 8, y / 8) for x, y in corners])
        accepted = True
    except ShapeError:
        accepted = False
    assert accepted == _is_simple(corners)


@given(st.lists(st.integers(0, GRID), min_size=6, max_size=6))
def test_orientation_is_exact(numbers: list[int]) -> None:
    ax, ay, bx, by, px, py = numbers
    exact = (bx - ax) * (py - ay) - (by - ay) * (px - ax)
    a, b, p = np.array(numbers, np.float64).reshape(3, 2)
    assert int(orientation(a, b, p)) == exact


def _star(seed: int) -> tuple[tuple[float, float], ...]:
    """A star-shaped polygon, hence simple, mostly not convex."""
    rng = random.Random(seed)  # noqa: S311
    count = rng.randint(3, 12)
    angles = np.sort([rng.uniform(0, 2 * np.pi) for _ in range(count)])
    radii = np.array([rng.uniform(0.05, 0.5) for _ in range(count)])
    return tuple(map(tuple, (0.5 + radii[:, None] * np.stack((np.cos(angles), np.sin(angles)), axis=1)).tolist()))


def _valid(corners: tuple[tuple[float, float], ...]) -> bool:
    try:
        check_polygon(corners)
    except ShapeError:
        return False
    return True


@pytest.mark.parametrize("seed", range(20))
def test_point_in_polygon_agrees_with_matplotlib(seed: int) -> None:
    shapes = [shape for shape in map(_star, range(seed * 5, seed * 5 + 5)) if _valid(shape)]
    zone_map = ZoneMap.of([Polygon(id=f"{i}", type="polygon", points=shape) for i, shape in enumerate(shapes)])
    points = np.random.default_rng(seed).uniform(0, 1, (500, 2))
    snapped = snap(points)
    inside, _ = zone_map.locate(np.stack((snapped, snapped), axis=1), (1920, 1080))
    for column, shape in enumerate(shapes):
        oracle = matplotlib.path.Path([*shape, shape[0]], closed=True).contains_points(points)
        disagree = (inside[:, column] != oracle).nonzero()[0]
        assert len(disagree) == 0, points[disagree]


def test_border_and_corners_belong_to_the_polygon() -> None:
    zone_map = ZoneMap.of([Polygon(id="a", type="polygon", points=((0.25, 0.25), (0.75, 0.25), (0.5, 0.75)))])
    on = snap([(0.25, 0.25), (0.75, 0.25), (0.5, 0.75), (0.5, 0.25), (0.375, 0.5)])
    off = on + np.array([[-1, 0], [1, 0], [0, 1], [0, -1], [-1, 0]])
    for points, expected in ((on, True), (off, False)):
        inside, _ = zone_map.locate(np.stack((points, points), axis=1), (640, 480))
        assert (inside == expected).all()


def test_distances_are_in_pixels_of_the_picture() -> None:
    line = Line(id="l", type="line", points=((0.5, 0.25), (0.5, 0.75)))
    square = Polygon(id="p", type="polygon", points=SQUARE)
    points = snap([(0.75, 0.5), (0.5, 1.0), (0.8, 0.9)])
    _, squared = ZoneMap.of([line, square]).locate(np.stack((points, points), axis=1), (1000, 400))
    expected = [[50, 250], [80, 100], [40, np.hypot(300, 60)]]
    np.testing.assert_allclose(np.sqrt(squared), expected, rtol=1e-5)


def test_no_zones_at_all_are_empty_arrays() -> None:
    points = snap(np.zeros((3, 2, 2)))
    inside, squared = ZoneMap.of([]).locate(points, (640, 480))
    assert inside.shape == squared.shape == (3, 0)
    assert ZoneMap.of([]).crossings(points, points).shape == (3, 0)
