"""Waits between attempts to connect, and for pictures."""

from hypothesis import given
from hypothesis import strategies as st

from edge.sources.retry import Backoff, Patience
from edge.sources.settings import SourceSettings

SETTINGS = SourceSettings(backoff_min_s=0.5, backoff_max_s=30, good_after_s=10)
HELD = st.one_of(st.none(), st.floats(0, 9.9))


def test_first_wait_is_between_the_shortest_and_twice_that() -> None:
    assert all(0.5 <= Backoff(SETTINGS).delay_s(None) <= 1.0 for _ in range(50))


@given(st.lists(HELD, min_size=1, max_size=40))
def test_waits_stay_between_the_shortest_and_a_span_that_doubles_up_to_the_longest(held: list[float | None]) -> None:
    backoff = Backoff(SETTINGS)
    for failures, held_s in enumerate(held, 1):
        assert 0.5 <= backoff.delay_s(held_s) <= min(30, 0.5 * 2**failures)


def test_jitter_is_full_and_pictures_for_a_moment_do_not_reset_the_waits() -> None:
    """Of many cameras that break again and again, the waits are spread over the whole span."""
    backoffs = [Backoff(SETTINGS) for _ in range(400)]
    for _ in range(12):
        waits = [backoff.delay_s(0.5) for backoff in backoffs]
    assert min(waits) < 5 and max(waits) > 25
    assert 13 < sum(waits) / len(waits) < 18


def test_good_while_and_a_return_reset_the_waits() -> None:
    backoff = Backoff(SETTINGS)
    for _ in range(12):
        backoff.delay_s(None)
    assert backoff.delay_s(10.0) <= 1.0
    for _ in range(12):
        backoff.delay_s(None)
    backoff.reset()
    assert backoff.delay_s(None) <= 1.0


def test_a_refused_password_is_tried_seldom_whatever_lies_between() -> None:
    backoff, waited_s = Backoff(SETTINGS), 0.0
    tries = 0
    while waited_s < 1800:
        waited_s += backoff.delay_s(None, "auth_failed")
        tries += 1
    assert tries <= 4
    assert backoff.delay_s(None, "auth_failed") >= 1800
    backoff.delay_s(60.0)
    assert backoff.delay_s(None, "auth_failed") <= 66


def test_the_first_picture_may_take_as_long_as_connecting_and_a_stall() -> None:
    patience = Patience(SETTINGS)
    patience.connected(0.0)
    assert patience.seconds == 2 * SETTINGS.connect_timeout_s + SETTINGS.stall_timeout_s


def pictures(patience: Patience, begin_s: float, end_s: float, every_s: float) -> float:
    """Let pictures come; returns when the last one did."""
    count = round((end_s - begin_s) / every_s)
    for number in range(count + 1):
        patience.came(begin_s + number * every_s)
    return begin_s + count * every_s


def test_a_usual_camera_is_missed_after_the_stall_time() -> None:
    patience = Patience(SETTINGS)
    patience.connected(0.0)
    pictures(patience, 0.5, 7.0, 0.04)
    assert patience.seconds == SETTINGS.stall_timeout_s
    patience.stalled()
    patience.connected(10.0)
    pictures(patience, 10.5, 17.0, 0.04)
    assert patience.seconds == SETTINGS.stall_timeout_s


SILENCES = st.floats(0.0, 1.0)
"""Part of its period after which a camera's first picture of a connection comes."""


@given(every_s=st.floats(0.5, 60), first=SILENCES, kept=st.integers(0, 50))
def test_a_slow_camera_is_waited_for_after_a_few_connections_at_most(every_s: float, first: float, kept: int) -> None:
    """`kept`: pictures that a restreamer sends at once to whoever comes, ahead of the camera's own."""
    patience, now_s, connections, came = Patience(SETTINGS), 0.0, 0, 0
    while came < 30 and connections < 8:
        connections, came = connections + 1, 0
        patience.connected(now_s)
        for number in range(kept):
            patience.came(now_s + 0.001 * number)
        next_s = now_s + 0.001 * kept + first * every_s
        while came < 30 and next_s - now_s <= patience.seconds:
            now_s = next_s
            patience.came(now_s)
            came, next_s = came + 1, next_s + every_s
        if came < 30:
            now_s += patience.seconds
            patience.stalled()
    assert connections <= (1 if every_s <= 10 else 5)


@given(pause_s=st.floats(4, 12), busy_s=st.floats(0.2, 5))
def test_a_camera_that_sends_a_few_pictures_now_and_then_is_kept(pause_s: float, busy_s: float) -> None:
    patience, now_s, stalls = Patience(SETTINGS), 0.0, 0
    patience.connected(now_s)
    for _ in range(6):
        now_s = pictures(patience, now_s + 0.1, now_s + 0.1 + busy_s, 0.1)
        if pause_s > patience.seconds:
            stalls += 1
            patience.stalled()
            patience.connected(now_s + patience.seconds)
        now_s += pause_s
    assert stalls == 0


def test_a_pause_is_forgotten_in_time() -> None:
    patience = Patience(SETTINGS)
    patience.connected(0.0)
    patience.came(0.0)
    patience.came(10.0)
    now_s = pictures(patience, 10.1, 40.0, 0.1)
    assert 20 < patience.seconds < 30
    pictures(patience, now_s + 0.1, now_s + 900.0, 0.1)
    assert patience.seconds == SETTINGS.stall_timeout_s
