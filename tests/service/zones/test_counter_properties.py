"""What holds of ZoneCounter for every walk, polygon and line."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from service.zones.shape import ShapeError, check_polygon
from service.zones.zone import Line, Polygon
from tests.service.zones.walks import BOX_HEIGHT, HEIGHT, MARGIN_PX, WIDTH, Watch, numbers

coordinate = st.integers(0, 20).map(lambda step: step / 20)
point = st.tuples(coordinate, coordinate)
foot = st.tuples(
    st.integers(0, 40).map(lambda step: step * WIDTH / 40), st.integers(0, 40).map(lambda s: s * HEIGHT / 40)
)
"""Coarse, so that feet often stand on borders, corners and lines."""


@st.composite
def polygons(draw: st.DrawFn) -> Polygon:
    """Any valid polygon: stars around a point, and whatever random corners happen to be valid."""
    corners = draw(st.lists(point, min_size=3, max_size=6))
    try:
        check_polygon(corners)
    except ShapeError:
        centre = np.mean(corners, axis=0)
        count = draw(st.integers(3, 6))
        angles = np.arange(count) * 2 * math.pi / count
        corners = (centre * 0.5 + 0.25 + 0.2 * np.stack((np.cos(angles), np.sin(angles)), axis=1)).tolist()
    return Polygon(id="area", type="polygon", points=tuple(map(tuple, corners)))


@st.composite
def lines(draw: st.DrawFn) -> Line:
    start = draw(point)
    return Line(id="line", type="line", points=(start, draw(point.filter(lambda end: end != start))))


people = st.dictionaries(st.integers(1, 4), foot, max_size=4)
story = st.lists(st.tuples(people, st.sampled_from((0.125, 0.125, 0.125, 0.75, 2.0))), max_size=15)


@given(polygons(), lines(), story)
@settings(deadline=None)
def test_enters_are_leaves_plus_occupancy_at_all_times(polygon: Polygon, line: Line, frames: list) -> None:
    watch = Watch(polygon, line)
    for seen, after_s in frames:
        zones = watch.see(seen, after_s)
        counts = watch.counts("area")
        assert counts.enters == counts.leaves + counts.occupancy
        assert counts.occupancy == counts.dwell_now.people >= sum("area" in one for one in zones)
        assert counts.appeared <= counts.enters
        assert counts.vanished <= counts.leaves == counts.dwell.people
        assert all(event.dwell_s >= 0 for event in watch.events if event.type == "leave")
    watch.pass_time(1.2)
    counts = watch.counts("area")
    assert (counts.occupancy, counts.enters) == (0, counts.leaves)
    again = Watch(polygon, line, store=watch.store)
    assert numbers(again) == numbers(watch)


def _far(point_px: tuple[float, float], line: Line) -> bool:
    """Whether a point is farther than the margin from the line, by the plain formula."""
    (ax, ay), (bx, by) = ((x * WIDTH, y * HEIGHT) for x, y in line.points)
    px, py = point_px
    share = ((px - ax) * (bx - ax) + (py - ay) * (by - ay)) / ((bx - ax) ** 2 + (by - ay) ** 2)
    share = min(max(share, 0), 1)
    return math.hypot(px - ax - share * (bx - ax), py - ay - share * (by - ay)) > MARGIN_PX + 0.01


@given(lines(), st.lists(foot, min_size=2, max_size=12))
@settings(deadline=None)
def test_reversed_path_swaps_the_directions(line: Line, path: list[tuple[float, float]]) -> None:
    ends = [index for index, one in enumerate(path) if _far(one, line)]  # a count is decided away from the line
    path = path[ends[0] : ends[-1] + 1] if ends else []
    there, back, flipped = Watch(line), Watch(line), Watch(line.model_copy(update={"points": line.points[::-1]}))
    there.walk(*path)
    back.walk(*reversed(path))
    counts = there.counts("line")
    assert (counts.forward, counts.backward) == (back.counts("line").backward, back.counts("line").forward)
    if all(not math.isclose(_side(one, line), 0, abs_tol=1e-6) for one in path):
        flipped.walk(*path)
        turned = flipped.counts("line")
        assert counts.forward - counts.backward == turned.backward - turned.forward


def _side(point_px: tuple[float, float], line: Line) -> float:
    (ax, ay), (bx, by) = ((x * WIDTH, y * HEIGHT) for x, y in line.points)
    return (bx - ax) * (point_px[1] - ay) - (by - ay) * (point_px[0] - ax)


@given(st.integers(2, 18), st.lists(foot, min_size=1, max_size=10))
@settings(deadline=None)
def test_round_trip_crosses_a_line_through_the_whole_picture_as_often_each_way(
    step: int, path: list[tuple[float, float]]
) -> None:
    watch = Watch(Line(id="line", type="line", points=((step / 20, 1), (step / 20, 0))))  # nobody gets around it
    watch.walk((0, 250), *path, (0, 250))
    assert watch.counts("line").forward == watch.counts("line").backward


@given(polygons(), lines(), foot, st.lists(st.tuples(st.floats(0, 1), st.floats(0, 2 * math.pi)), max_size=20))
@settings(deadline=None)
def test_jitter_below_the_margin_adds_nothing(
    polygon: Polygon, line: Line, rest: tuple[float, float], jitter: list[tuple[float, float]]
) -> None:
    watch = Watch(polygon, line)
    watch.walk(rest)
    radius = 0.49 * MARGIN_PX  # no two points are farther apart than the margin
    for share, angle in jitter:
        watch.walk((rest[0] + share * radius * math.cos(angle), rest[1] + share * radius * math.sin(angle)))
    assert watch.counts("area").enters <= 1
    assert watch.counts("area").leaves == 0
    assert (watch.counts("line").forward, watch.counts("line").backward) == (0, 0)


@given(polygons(), lines(), story, st.dictionaries(st.integers(0, 14), people, max_size=6))
@settings(deadline=None)
def test_predicted_boxes_put_in_anywhere_change_nothing(
    polygon: Polygon, line: Line, frames: list, guesses: dict[int, dict[int, tuple[float, float]]]
) -> None:
    plain, mixed = Watch(polygon, line), Watch(polygon, line)
    for index, (seen, after_s) in enumerate(frames):
        plain.see(seen, after_s)
        guessed = guesses.get(index, {})  # in a frame of their own, half way, and beside the observed ones
        mixed.predict(guessed, after_s / 2)
        mixed.see({**guessed, **seen}, after_s, predicted=guessed.keys() - seen.keys())
    assert numbers(mixed) == numbers(plain)
    assert mixed.events == plain.events


@given(polygons(), lines(), story, st.integers(1, 4))
@settings(deadline=None)
def test_resolution_of_the_picture_does_not_matter(polygon: Polygon, line: Line, frames: list, factor: int) -> None:
    plain, large = Watch(polygon, line), Watch(polygon, line)
    picture = np.zeros((HEIGHT * factor, WIDTH * factor, 3), np.uint8)
    for seen, after_s in frames:
        plain.see(seen, after_s)
        scaled = {name: (x * factor, y * factor) for name, (x, y) in seen.items()}
        large.see(scaled, after_s, picture=picture, box_height=BOX_HEIGHT * factor)
    assert numbers(large) == numbers(plain)


@given(polygons(), lines(), story, st.integers(0, 14))
@settings(deadline=None)
def test_restart_loses_no_count(polygon: Polygon, line: Line, frames: list, killed_at: int) -> None:
    watch = Watch(polygon, line)
    for index, (seen, after_s) in enumerate(frames):
        if index == killed_at:
            at_death = watch.counts("area"), watch.counts("line")
            watch = Watch(polygon, line, store=watch.store)
            assert watch.counts("area").enters == at_death[0].enters
            assert watch.counts("area").leaves == at_death[0].enters
            assert numbers(watch)[1] == at_death[1].model_dump(exclude={"since"})
        watch.see(seen, after_s)
