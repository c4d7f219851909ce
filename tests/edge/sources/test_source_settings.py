import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sources.settings import SourceSettings


@given(attempts=st.integers(1, 10_000), chance=st.floats(0, 1, exclude_max=True))
def test_backoff_stays_between_its_bounds(attempts: int, chance: float) -> None:
    assert 0.5 <= SourceSettings().backoff_s(attempts, chance) <= 30.0


def test_backoff_doubles_its_span_until_it_is_full() -> None:
    longest = [SourceSettings().backoff_s(attempts, 1.0) for attempts in range(1, 9)]
    assert longest == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"connect_timeout_s": 0.0},
        {"stall_timeout_s": -1.0},
        {"backoff_min_s": 40.0},
        {"max_attempts": 0},
        {"decoder_threads": 99},
    ],
)
def test_value_out_of_range_is_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SourceSettings(**wrong)  # type: ignore[arg-type]
