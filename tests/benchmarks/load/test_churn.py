"""Streams that come and go leave nothing behind: the verdict, and a short run on a real service."""

from pathlib import Path

import pytest

from benchmarks.load.churn import judge, run
from benchmarks.load.usage import Held
from tests.support.tiny_pair import write_tiny_pair


def samples(count: int, mb: float = 0.0, files: float = 0.0, threads: float = 0.0) -> list[Held]:
    return [Held(8 * i, 200 + mb * i, int(20 + files * i), int(15 + threads * i)) for i in range(count)]


def test_too_few_samples_prove_nothing() -> None:
    with pytest.raises(ValueError, match="more cycles"):
        judge(samples(2))


def test_what_stays_flat_passes_even_if_it_jumps_at_times() -> None:
    jumping = samples(30)
    jumping[25] = Held(200, 260.0, 90, 90)
    verdict = judge(jumping)
    assert (verdict["failures"], verdict["growth_mb"], verdict["more_files"]) == ([], 0, 0)


@pytest.mark.parametrize(
    ("leak", "told"), [({"mb": 1.0}, "memory grew"), ({"files": 0.2}, "files"), ({"threads": 0.2}, "threads")]
)
def test_a_leak_fails(leak: dict[str, float], told: str) -> None:
    failures = judge(samples(30, **leak))["failures"]
    assert len(failures) == 1
    assert told in failures[0]


def test_service_keeps_no_file_and_no_thread_of_streams_that_are_gone(tmp_path: Path) -> None:
    write_tiny_pair(tmp_path, (320, 192))
    service = ["--models", str(tmp_path), "--pair", "tiny", "--size", "320x192"]
    found = run(20, 5, service, "synthetic://?width=320&height=192&people=2&fps=15&frames=40", at_once=4)
    assert len(found) >= 3
    assert found[-1].files <= found[0].files + 2  # a leak of one per stream would be fifteen more
    assert found[-1].threads <= found[0].threads + 2
