"""The judge of hours: what counts as growth."""

import numpy as np

from benchmarks.load.endurance import Sample, judge


def samples(mb_per_hour: float = 0.0, files: float = 0.0, threads: float = 0.0, noise: float = 0.0) -> list[Sample]:
    """An hour, a sample each 5 s; `files` and `threads`: growth from begin to end."""
    chance = np.random.default_rng(3)
    held = []
    for t in range(0, 3600, 5):
        part = t / 3600
        memory = 500 + mb_per_hour * part + noise * chance.normal()
        held.append(Sample(t, memory, round(90 + files * part), round(60 + threads * part)))
    return held


def test_nothing_measured_is_no_success() -> None:
    assert judge([], 0)["failures"]


def test_flat_is_flat_whatever_the_noise() -> None:
    assert judge(samples(noise=3), 60)["failures"] == []


def test_a_leak_of_two_megabytes_an_hour_is_found() -> None:
    assert "memory" in judge(samples(mb_per_hour=2), 60)["failures"][0]


def test_what_grows_before_the_warm_up_does_not_count() -> None:
    steep = [Sample(t, t, 90, 60) for t in range(0, 600, 5)]
    flat = [Sample(600 + t, 600, 90, 60) for t in range(0, 3600, 5)]
    assert judge(steep + flat, 600)["failures"] == []


def test_files_and_threads_that_grow_are_found() -> None:
    assert judge(samples(files=40), 60)["failures"]
    assert judge(samples(threads=40), 60)["failures"]
