"""The rules of ZoneCounter, one by one."""

import asyncio
from concurrent.futures import Future

import numpy as np
import pytest

from service.errors import NotReady
from service.store import StoreError
from service.zones.zone import Line, Polygon
from tests.service.zones.walks import (
    DOWN,
    FRAME_S,
    INSIDE,
    MARGIN_PX,
    OUTSIDE,
    SQUARE,
    DictStore,
    Watch,
)

LEFT, RIGHT = (450.0, 300.0), (550.0, 300.0)


def test_nobody_in_no_zone_is_nothing() -> None:
    watch = Watch()
    assert watch.see({}) == []
    assert watch.see({1: INSIDE, 2: OUTSIDE}) == [[], []]
    assert watch.counter.counts().zones == []
    assert watch.store.kept == {}


def test_nobody_in_a_zone_counts_nothing() -> None:
    watch = Watch(SQUARE, DOWN)
    watch.pass_time(3)
    square, down = watch.counts("square"), watch.counts("down")
    assert (square.occupancy, square.enters, square.leaves, square.dwell.mean_s) == (0, 0, 0, None)
    assert (down.forward, down.backward) == (0, 0)
    assert watch.store.kept == {}


def test_person_who_walks_through_enters_once_stays_and_leaves_once() -> None:
    watch = Watch(SQUARE)
    watch.walk(OUTSIDE)
    assert watch.see({1: INSIDE}) == [["square"]]
    assert (watch.counts().occupancy, watch.counts().enters) == (1, 1)
    for _ in range(20):
        watch.see({1: INSIDE})
    assert watch.counts().dwell_now.model_dump() == {"people": 1, "mean_s": 2.0, "max_s": 2.0}
    assert watch.see({1: (700, 300)}) == [[]]
    counts = watch.counts()
    assert (counts.occupancy, counts.enters, counts.leaves, counts.appeared, counts.vanished) == (0, 1, 1, 0, 0)
    assert counts.dwell.model_dump() == {"people": 1, "mean_s": 2.1, "max_s": 2.1}
    assert watch.story == [("enter", "square", 1), ("leave", "square", 1)]
    assert watch.events[1].dwell_s == pytest.approx(2.1)


def test_dwell_times_have_mean_and_maximum() -> None:
    watch = Watch(SQUARE)
    watch.walk(OUTSIDE, INSIDE, INSIDE, OUTSIDE, track=1)
    watch.walk(OUTSIDE, INSIDE, INSIDE, INSIDE, INSIDE, OUTSIDE, track=2)
    assert watch.counts().dwell.model_dump() == {"people": 2, "mean_s": 0.3, "max_s": 0.4}


def test_tracks_come_with_their_zones_row_by_row() -> None:
    all_of_it = Polygon(id="all", type="polygon", points=((0, 0), (1, 0), (1, 1), (0, 1)))
    watch = Watch(SQUARE, DOWN, all_of_it)
    assert watch.see({3: OUTSIDE, 5: INSIDE}) == [["all"], ["square", "all"]]


def test_feet_below_the_picture_count_at_its_edge() -> None:
    floor = Polygon(id="floor", type="polygon", points=((0, 0.5), (1, 0.5), (1, 1), (0, 1)))
    assert Watch(floor).see({1: (500, 560)}) == [["floor"]]


def test_centre_as_anchor_is_the_middle_of_the_box() -> None:
    centred = SQUARE.model_copy(update={"anchor": "centre", "id": "centred"})
    below = (500.0, 430.0)  # feet 30 px below the square, middle 20 px inside
    assert Watch(SQUARE, centred).see({1: below}) == [["centred"]]


def test_who_is_first_seen_inside_appears_there_and_who_ends_inside_vanishes() -> None:
    watch = Watch(SQUARE)
    watch.walk(INSIDE, INSIDE)
    assert (watch.counts().enters, watch.counts().appeared) == (1, 1)
    watch.pass_time(0.9)
    assert watch.counts().occupancy == 1
    watch.pass_time(0.3)
    counts = watch.counts()
    assert (counts.occupancy, counts.leaves, counts.vanished) == (0, 1, 1)
    assert counts.dwell.max_s == pytest.approx(FRAME_S)  # to where last seen, not to when given up


def test_tracks_that_ended_between_two_frames_leave_in_the_order_of_their_ends() -> None:
    watch = Watch(SQUARE)
    watch.see({1: INSIDE, 2: INSIDE})
    watch.see({1: INSIDE})
    watch.see({}, after_s=5.0)
    assert watch.story[-2:] == [("leave", "square", 2), ("leave", "square", 1)]


def test_track_lost_inside_and_found_again_neither_left_nor_entered() -> None:
    watch = Watch(SQUARE)
    watch.walk(OUTSIDE, INSIDE)
    watch.pass_time(0.9)
    watch.walk(INSIDE)
    assert watch.story == [("enter", "square", 1)]
    assert watch.counts().dwell_now.max_s == pytest.approx(1.0)


def test_predicted_box_neither_enters_nor_leaves_nor_crosses() -> None:
    watch = Watch(SQUARE, DOWN)
    watch.walk(OUTSIDE)
    assert watch.see({1: LEFT}, predicted=[1]) == [[]]
    assert watch.see({1: RIGHT}, predicted=[1]) == [[]]
    watch.walk(LEFT)
    assert watch.see({1: OUTSIDE}, predicted=[1]) == [["square"]]
    assert watch.story == [("enter", "square", 1)]


def test_person_known_only_by_prediction_is_nobody() -> None:
    watch = Watch(SQUARE)
    assert watch.see({7: INSIDE}, predicted=[7]) == [[]]
    assert watch.counts().enters == 0


@pytest.mark.parametrize(("to", "leaves"), [(400 - MARGIN_PX + 1, 0), (400 - MARGIN_PX - 1, 1)])
def test_leaving_needs_the_margin(to: float, leaves: int) -> None:
    watch = Watch(SQUARE)
    watch.walk(INSIDE, (to, 300))
    assert watch.counts().leaves == leaves


def test_crossing_counts_once_it_is_farther_than_the_margin() -> None:
    watch = Watch(DOWN)
    watch.walk(RIGHT, (500 - MARGIN_PX + 1, 300))
    assert watch.story == []
    watch.walk((500 - MARGIN_PX - 1, 300), LEFT)
    assert watch.story == [("forward", "down", 1)]
    watch.walk(RIGHT)
    assert watch.story == [("forward", "down", 1), ("backward", "down", 1)]
    counts = watch.counts("down")
    assert (counts.forward, counts.backward) == (1, 1)


def test_way_past_the_end_of_a_line_is_no_crossing() -> None:
    watch = Watch(DOWN)
    watch.walk((550, 450), (450, 450), (450, 300), (450, 50), (550, 50))
    assert watch.story == []


def test_who_walks_along_the_edge_of_the_picture_crosses_a_line_that_ends_there() -> None:
    for points in (((0.5, 0.5), (0.5, 1.0)), ((0.5, 1.0), (0.5, 0.5))):
        watch = Watch(DOWN.model_copy(update={"points": points}))
        watch.walk((400, 520), (600, 540), (400, 510))  # feet below the picture
        assert len(watch.story) == 2


def test_crossing_while_unseen_counts_when_seen_again() -> None:
    watch = Watch(DOWN)
    watch.walk(RIGHT)
    watch.pass_time(0.8)
    watch.walk(LEFT)
    assert watch.story == [("forward", "down", 1)]


def test_zones_hold_for_another_resolution_and_nobody_moves_by_it() -> None:
    watch = Watch(SQUARE, DOWN)
    watch.walk((700, 300), RIGHT)
    half = np.zeros((250, 500, 3), np.uint8)
    assert watch.see({1: (275, 150)}, picture=half) == [["square"]]
    assert watch.story == [("enter", "square", 1)]


def test_after_a_reconnect_people_may_come_back_within_the_time_of_relinking() -> None:
    watch = Watch(SQUARE)
    watch.walk(OUTSIDE, INSIDE)
    watch.see({}, after_s=5.0, discontinuity=True)
    watch.pass_time(3)
    watch.walk(INSIDE)
    assert watch.story == [("enter", "square", 1)]
    watch.see({}, after_s=5.0, discontinuity=True)
    watch.pass_time(26)
    assert watch.story == [("enter", "square", 1), ("leave", "square", 1)]


def test_new_epoch_ends_everybody_and_the_same_id_is_somebody_else() -> None:
    watch = Watch(SQUARE, DOWN)
    watch.walk(OUTSIDE, LEFT)
    watch.see({1: RIGHT}, epoch=2, discontinuity=True)
    assert watch.story == [("enter", "square", 1), ("leave", "square", 1), ("enter", "square", 1)]
    assert [event.epoch for event in watch.events] == [1, 1, 2]


def test_clock_that_jumps_back_stands_still() -> None:
    watch = Watch(SQUARE)
    watch.walk(INSIDE)
    watch.see({1: INSIDE}, after_s=-100.0)
    watch.see({1: INSIDE}, after_s=0.5)
    assert watch.counts().dwell_now.max_s == 0.5


def test_reset_returns_the_counts_and_who_is_inside_enters_again() -> None:
    watch = Watch(SQUARE, DOWN)
    watch.walk(OUTSIDE, INSIDE)
    watch.walk(RIGHT, LEFT, track=2)
    before = asyncio.run(watch.counter.reset())
    assert [(one.id, one.since) for one in before.zones] != [
        (one.id, one.since) for one in watch.counter.counts().zones
    ]
    assert before.zones[0].enters == 2  # type: ignore[union-attr]
    assert (watch.counts().occupancy, watch.counts("down").forward) == (0, 0)
    watch.see({1: INSIDE, 2: LEFT})
    counts = watch.counts()
    assert (counts.occupancy, counts.enters, counts.appeared, counts.leaves) == (2, 2, 2, 0)


def test_changed_zone_keeps_its_counts_new_one_starts_at_zero() -> None:
    watch = Watch(SQUARE, DOWN)
    watch.walk(OUTSIDE, INSIDE)
    moved = SQUARE.model_copy(update={"points": ((0.0, 0.0), (0.2, 0.0), (0.2, 0.2))})
    fresh = SQUARE.model_copy(update={"id": "fresh"})
    watch.counter.set_zones((fresh, moved))
    watch.see({1: INSIDE})
    assert watch.story == [("enter", "square", 1), ("leave", "square", 1), ("enter", "fresh", 1)]
    assert (watch.counts("square").enters, watch.counts("square").leaves) == (1, 1)
    assert (watch.counts("fresh").enters, watch.counts("fresh").appeared) == (1, 1)
    assert list(watch.store.kept["hall"]["lines"]) == []


def test_polygon_that_becomes_a_line_starts_at_zero() -> None:
    watch = Watch(SQUARE)
    watch.walk(INSIDE)
    watch.counter.set_zones((DOWN.model_copy(update={"id": "square"}),))
    assert (watch.counts().forward, watch.counts().backward) == (0, 0)


def test_counts_survive_a_restart_and_who_was_inside_has_left() -> None:
    watch = Watch(SQUARE, DOWN)
    watch.walk(OUTSIDE, INSIDE, OUTSIDE)
    watch.walk(RIGHT, LEFT, track=2)
    since = watch.counts().since
    again = Watch(SQUARE, DOWN, store=watch.store)
    counts = again.counts()
    assert (counts.enters, counts.leaves, counts.vanished, counts.occupancy) == (2, 2, 1, 0)
    assert counts.since == since
    assert again.counts("down").forward == 1
    again.walk(INSIDE)
    assert (again.counts().enters, again.counts().appeared) == (3, 2)


class FullDisk(DictStore):
    def keep_counts(self, stream_id: str, counts: dict[str, object]) -> Future[None]:
        done: Future[None] = Future()
        done.set_exception(StoreError("disk full"))
        return done


def test_reset_that_cannot_be_kept_is_not_made_and_says_so() -> None:
    watch = Watch(SQUARE, DOWN, store=FullDisk())
    watch.walk(OUTSIDE, INSIDE)
    with pytest.raises(NotReady) as refused:
        asyncio.run(watch.counter.reset())
    assert refused.value.code == "store_failed"
    watch.walk(INSIDE)
    assert (watch.counts().enters, watch.counts().occupancy) == (1, 1)
    assert watch.store.kept["hall"]["polygons"]["square"]["enters"] == 1


def test_what_is_counted_while_a_reset_is_kept_is_lost_neither_before_nor_after() -> None:
    class Slow(DictStore):
        def keep_counts(self, stream_id: str, counts: dict[str, object]) -> Future[None]:
            watch.see({1: INSIDE})  # the device thread goes on
            assert "hall" not in self.kept
            return super().keep_counts(stream_id, counts)

    watch = Watch(SQUARE, store=Slow())
    before = asyncio.run(watch.counter.reset()).zones[0]
    assert (before.enters, watch.counts().enters) == (1, 0)  # type: ignore[union-attr]
    watch.see({1: INSIDE})
    assert watch.store.kept["hall"]["polygons"]["square"]["enters"] == watch.counts().enters == 1


COUNT = {"since": 1.0, "enters": 1, "leaves": 1}
NONSENSE: list[dict[str, object]] = [
    {"polygons": {"square": {**COUNT, name: value}}}
    for name in ("since", "enters", "dwell_sum_s")
    for value in ("1", None, -1, True, float("nan"), float("inf"), [], {}, 10**40)
] + [
    {"polygons": 1},
    {"lines": []},
    {"polygons": {"square": None}},
    {"lines": {"down": {"forward": 0.5}}},
    {"polygons": {"square": {"leaves": 2}}},
]


@pytest.mark.parametrize("stored", NONSENSE, ids=str)
def test_counts_that_make_no_sense_are_set_aside(stored: dict[str, object]) -> None:
    store = DictStore()
    store.kept["hall"] = stored
    watch = Watch(SQUARE, DOWN, store=store)
    assert store.lost[0] == stored
    watch.walk(OUTSIDE, INSIDE)
    assert watch.counts().enters == 1


def of(zone: Polygon | Line, *classes: str) -> Polygon | Line:
    """The same for these classes alone, with an id of its own."""
    return zone.model_copy(update={"id": "-".join((zone.id, *classes)), "classes": classes})


def traffic(*zones: Polygon | Line) -> Watch:
    """Person 1 and car 2 come in from the right and cross the line; car 3 stays outside."""
    watch = Watch(*zones)
    watch.classes, watch.class_of = ("person", "car"), {2: "car", 3: "car"}
    for x in (700.0, 550.0, 450.0):
        watch.see({1: (x, 300.0), 2: (x, 290.0), 3: OUTSIDE})
    return watch


def test_a_line_counts_each_class_that_it_is_limited_to() -> None:
    zones = [DOWN, of(DOWN, "person"), of(DOWN, "car"), of(DOWN, "person", "car"), of(DOWN, "cow")]
    watch = traffic(*zones)
    assert [watch.counts(zone.id).forward for zone in zones] == [2, 1, 1, 2, 0]
    assert {(event.zone, event.class_name) for event in watch.events} == {
        ("down", "person"),
        ("down", "car"),
        ("down-person", "person"),
        ("down-car", "car"),
        ("down-person-car", "person"),
        ("down-person-car", "car"),
    }


def test_only_the_classes_of_an_area_are_ever_inside() -> None:
    watch = traffic(of(SQUARE, "car"))
    assert watch.see({1: LEFT, 2: LEFT, 3: INSIDE}) == [[], ["square-car"], ["square-car"]]
    assert (watch.counts("square-car").enters, watch.counts("square-car").occupancy) == (2, 2)
    watch.pass_time(2)
    assert [event.class_name for event in watch.events if event.type == "leave"] == ["car", "car"]


def test_who_is_inside_an_area_that_takes_their_class_no_more_leaves() -> None:
    watch = traffic(SQUARE)
    watch.counter.set_zones([SQUARE.model_copy(update={"classes": ("car",)})])
    watch.see({1: LEFT, 2: LEFT})
    counts = watch.counts()
    assert (counts.enters, counts.leaves, counts.occupancy) == (2, 1, 1)
    assert watch.story[-1] == ("leave", "square", 1)


def test_where_people_alone_are_seen_no_event_tells_a_class() -> None:
    watch = Watch(of(DOWN, "person"), of(DOWN, "car"))
    watch.walk(RIGHT, LEFT)
    assert [(event.zone, event.class_name) for event in watch.events] == [("down-person", None)]
