"""Room: what a node says it could carry, by a clock and a device time that the test moves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.cluster.room import BUSY, SPAN_S, Room


def observed(*spans: tuple[float, int]) -> Room:
    """A room after spans of `SPAN_S`, each with its share of busy time and its streams."""
    room, busy_s = Room(), 100.0
    room.observe(0.0, busy_s, 0)
    for number, (share, streams) in enumerate(spans, start=1):
        busy_s += share * SPAN_S
        room.observe(number * SPAN_S, busy_s, streams)
    return room


def test_nothing_is_said_before_a_span_is_over() -> None:
    room = Room()
    room.observe(7.0, 3.0, 4)
    room.observe(7.0 + SPAN_S - 0.1, 6.0, 4)
    assert (room.weight, room.load) == (None, 0.0)


@pytest.mark.parametrize(("share", "streams", "weight"), [(0.5, 4, 7), (0.9, 4, 4), (1.0, 1, 1), (1.0, 12, 11)])
def test_room_is_as_many_streams_as_keep_the_device_busy(share: float, streams: int, weight: int) -> None:
    room = observed((share, streams))
    assert room.weight == weight
    assert room.load == pytest.approx(share)


@pytest.mark.parametrize(("share", "streams"), [(0.0, 0), (0.7, 0), (0.19, 4)])
def test_idle_device_tells_nothing_of_what_a_stream_takes(share: float, streams: int) -> None:
    assert observed((share, streams)).weight is None


def test_small_change_is_not_said_so_that_shares_do_not_sway() -> None:
    assert observed((0.5, 10), (0.55, 10), (0.45, 10)).weight == observed((0.5, 10)).weight == 18
    assert observed((0.5, 10), (0.9, 10)).weight == 10
    assert observed((0.5, 10), (0.0, 0)).weight == 18, "what was measured stays while there is nothing to measure"


@given(st.lists(st.tuples(st.floats(-1, 3), st.integers(0, 64)), max_size=8))
def test_what_is_said_makes_sense_whatever_the_clocks_say(spans: list[tuple[float, int]]) -> None:
    room = observed(*spans)
    assert 0 <= room.load <= 1
    assert room.weight is None or room.weight >= 1


@given(st.floats(0.25, 1), st.integers(1, 64))
def test_full_room_would_make_the_device_as_busy_as_it_may_be(share: float, streams: int) -> None:
    weight = observed((share, streams)).weight
    assert weight is not None
    assert abs(weight * share / streams - BUSY) <= max(share / streams, 1 - BUSY)
