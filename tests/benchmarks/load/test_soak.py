"""The soak's verdict: what it forgives, and what it does not; and a short run on a real service."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks.load.listener import Arrival
from benchmarks.load.soak import judge, main
from benchmarks.load.usage import Held, rss_mb
from tests.support.tiny_pair import write_tiny_pair


def flat(seconds: int, rss_mb: float = 200.0) -> list[Held]:
    return [Held(float(t), rss_mb, 90, 60) for t in range(seconds)]


def on_time(seconds: int, age_ms: float = 40.0) -> list[Arrival]:
    return [Arrival(i / 25, age_ms, age_ms + 5, i, "student", people=3, gap=0) for i in range(seconds * 25)]


def an_hour(mb_per_hour: float = 0.0, files: float = 0.0, threads: float = 0.0, noise: float = 0.0) -> list[Held]:
    """A sample each 5 s; `files` and `threads`: growth from begin to end."""
    chance = np.random.default_rng(3)
    parts = [(t, t / 3600) for t in range(0, 3600, 5)]
    memory = {t: 500 + mb_per_hour * part + noise * chance.normal() for t, part in parts}
    return [Held(t, memory[t], round(90 + files * part), round(60 + threads * part)) for t, part in parts]


def test_a_run_no_longer_than_its_warm_up_proves_nothing() -> None:
    for arrivals in ([], on_time(60)):
        with pytest.raises(ValueError, match="run longer"):
            judge(flat(60), arrivals, warm_up_s=60)


def test_flat_memory_and_fresh_tracks_pass() -> None:
    verdict = judge(flat(300), on_time(300), warm_up_s=60)
    assert verdict["failures"] == []
    assert (verdict["growth_mb"], verdict["age_p95_ms"], verdict["frames_skipped"]) == (0, 40, 0)
    assert verdict["messages_per_s"] == pytest.approx(25)
    assert verdict["minutes"] == pytest.approx(4, abs=0.03)


def test_growth_during_the_warm_up_is_forgiven() -> None:
    memory = [Held(float(t), 100 + min(t, 60), 90, 60) for t in range(300)]
    assert judge(memory, on_time(300), warm_up_s=60)["failures"] == []
    steep = [Held(t, t, 90, 60) for t in range(0, 600, 5)]
    level = [Held(600 + t, 600, 90, 60) for t in range(0, 3600, 5)]
    assert judge(steep + level, [], 600)["failures"] == []


def test_a_leak_fails() -> None:
    memory = [Held(float(t), 200 + 0.03 * t, 90, 60) for t in range(300)]
    verdict = judge(memory, on_time(300), warm_up_s=60)
    assert verdict["growth_mb"] == pytest.approx(0.03 * 240 * 0.9, abs=0.1)
    assert len(verdict["failures"]) == 1
    assert "memory grew" in verdict["failures"][0]


def test_over_hours_a_leak_of_two_megabytes_an_hour_is_found_whatever_the_noise() -> None:
    assert judge(an_hour(noise=3), [], 60)["failures"] == []
    assert "memory grows by 2.00 MB an hour" in judge(an_hour(mb_per_hour=2), [], 60)["failures"][0]


def test_files_and_threads_that_grow_are_found() -> None:
    assert "files grew from" in judge(an_hour(files=40), [], 60)["failures"][0]
    assert "threads grew from" in judge(an_hour(threads=40), [], 60)["failures"][0]


def test_one_late_message_passes_and_late_tracks_fail() -> None:
    fresh = on_time(300)
    late = [Arrival(a.time_s, 400, 400, a.frame_id, "student", 3, 0) for a in fresh]
    assert judge(flat(300), [*fresh[:-1], late[-1]], warm_up_s=60)["failures"] == []
    tenth = [late[i] if i % 10 == 0 else a for i, a in enumerate(fresh)]
    assert "400 ms old" in judge(flat(300), tenth, warm_up_s=60)["failures"][0]


def test_skipped_frames_and_lost_messages_are_counted() -> None:
    sparse = [Arrival(i / 25, 40, 45, 2 * i, "student", 3, gap=1 if i % 100 == 0 else 0) for i in range(25 * 100)]
    verdict = judge(flat(100), sparse, warm_up_s=0)
    assert (verdict["frames_skipped"], verdict["messages_lost"]) == (2499, 25)


def test_memory_of_this_process_is_read_in_megabytes() -> None:
    assert 5 < rss_mb(os.getpid()) < 100_000


@pytest.mark.parametrize("long", ["--minutes 0.15", "--hours 0.0025 --turn 3"], ids=["minutes", "hours"])
def test_a_real_service_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, long: str) -> None:
    write_tiny_pair(tmp_path, (320, 192))
    monkeypatch.setattr("benchmarks.load.soak.CAMERAS", 2)
    monkeypatch.setattr("benchmarks.load.soak.SUBSCRIBERS", 2)
    service = ["--", "--models", str(tmp_path), "--pair", "tiny", "--size", "320x192"]
    video = "synthetic://?width=320&height=192&people=2&fps=10&frames=40"
    assert main([*long.split(), "--warm-up", "1", "--video", video, "--output", str(tmp_path), *service]) in (0, 1)
    result = json.loads((tmp_path / ("soak.json" if "--minutes" in long else "soak-hours.json")).read_text())
    assert result["messages"] > 10
    assert result["subscribers"] == (1 if "--minutes" in long else 2)
