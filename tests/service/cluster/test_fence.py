"""Fence: whatever comes late, (run, seq) of what passes rises strictly."""

from hypothesis import given
from hypothesis import strategies as st

from service.cluster.fence import Fence

EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("message"), st.sampled_from("ab"), st.integers(1, 6), st.integers(1, 9)),
        st.tuples(st.just("claim"), st.sampled_from("ab"), st.integers(1, 6), st.just(0)),
    )
)


def test_unknown_stream_has_seen_nothing() -> None:
    assert Fence().newest("a") == (0, 0)


@given(EVENTS)
def test_what_passes_rises_strictly_whatever_the_order(events: list[tuple[str, str, int, int]]) -> None:
    fence, passed, floor = Fence(), {"a": [(0, 0)], "b": [(0, 0)]}, {"a": 0, "b": 0}
    for kind, stream, run, seq in events:
        if kind == "claim":
            fence.claimed(stream, run)
            floor[stream] = max(floor[stream], run)
        elif fence.passes(stream, run, seq):
            assert (run, seq) > passed[stream][-1]
            assert run >= floor[stream], "an owner that was deposed"
            passed[stream].append((run, seq))


def test_message_of_the_present_run_passes_once() -> None:
    fence = Fence()
    fence.claimed("a", 5)
    assert [fence.passes("a", 5, 1), fence.passes("a", 5, 1), fence.passes("a", 4, 9)] == [True, False, False]
    assert fence.refused == 1, "the same one twice is no news, and no fault"
