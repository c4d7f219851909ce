"""Waits between attempts to connect."""

from hypothesis import given
from hypothesis import strategies as st

from edge.sources.backoff import Backoff
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
