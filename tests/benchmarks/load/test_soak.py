"""The soak's verdict: what it forgives, and what it does not."""

import os

import pytest

from benchmarks.load.soak import Arrival, Memory, judge
from benchmarks.load.usage import rss_mb


def flat(seconds: int, rss_mb: float = 200.0) -> list[Memory]:
    return [Memory(float(t), rss_mb) for t in range(seconds)]


def on_time(seconds: int, age_ms: float = 40.0) -> list[Arrival]:
    return [Arrival(i / 25, age_ms, age_ms + 5, i, people=3, gap=0) for i in range(seconds * 25)]


def test_a_run_no_longer_than_its_warm_up_proves_nothing() -> None:
    with pytest.raises(ValueError, match="run longer"):
        judge(flat(60), on_time(60), warm_up_s=60)


def test_flat_memory_and_fresh_tracks_pass() -> None:
    verdict = judge(flat(300), on_time(300), warm_up_s=60)
    assert verdict["failures"] == []
    assert (verdict["growth_mb"], verdict["age_p95_ms"], verdict["frames_skipped"]) == (0, 40, 0)
    assert verdict["messages_per_s"] == pytest.approx(25)
    assert verdict["minutes"] == pytest.approx(4, abs=0.01)


def test_growth_during_the_warm_up_is_forgiven() -> None:
    memory = [Memory(float(t), 100 + min(t, 60)) for t in range(300)]
    assert judge(memory, on_time(300), warm_up_s=60)["failures"] == []


def test_a_leak_fails() -> None:
    memory = [Memory(float(t), 200 + 0.03 * t) for t in range(300)]
    verdict = judge(memory, on_time(300), warm_up_s=60)
    assert verdict["growth_mb"] == pytest.approx(0.03 * 240 * 0.9, abs=0.1)
    assert len(verdict["failures"]) == 1
    assert "memory grew" in verdict["failures"][0]


def test_one_late_message_passes_and_late_tracks_fail() -> None:
    fresh = on_time(300)
    late = [Arrival(a.time_s, 400, 400, a.frame_id, 3, 0) for a in fresh]
    assert judge(flat(300), [*fresh[:-1], late[-1]], warm_up_s=60)["failures"] == []
    tenth = [late[i] if i % 10 == 0 else a for i, a in enumerate(fresh)]
    assert "400 ms old" in judge(flat(300), tenth, warm_up_s=60)["failures"][0]


def test_skipped_frames_and_lost_messages_are_counted() -> None:
    sparse = [Arrival(i / 25, 40, 45, 2 * i, 3, gap=1 if i % 100 == 0 else 0) for i in range(25 * 100)]
    verdict = judge(flat(100), sparse, warm_up_s=0)
    assert (verdict["frames_skipped"], verdict["messages_lost"]) == (2499, 25)


def test_memory_of_this_process_is_read_in_megabytes() -> None:
    assert 5 < rss_mb(os.getpid()) < 100_000
