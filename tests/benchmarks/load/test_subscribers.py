"""Subscribers of one stream: the verdict, and a few of them on the service with a crowd for networks."""

import json
from pathlib import Path

import pytest

from benchmarks.load.subscribers import Reader, judge, main


def reader(seqs: list[int], gaps: int = 0, closed: bool = False) -> Reader:
    return Reader(seqs, gaps, [5.0] * len(seqs), 100 * len(seqs), closed)


def test_readers_who_got_nothing_fail_without_dividing_by_zero() -> None:
    assert judge([reader([])], 0, 10, [100.0])["failures"] == ["reading subscribers got nothing, or were sent away"]


def test_everything_delivered_in_flat_memory_passes() -> None:
    verdict = judge([reader([3, 4, 5]), reader([4, 5])], 1, 10, [100.0, 101.0, 100.0])
    assert verdict["failures"] == []
    assert (verdict["subscribers"], verdict["messages"], verdict["message_bytes"]) == (3, 3, 100)


@pytest.mark.parametrize(
    ("readers", "memory_mb", "failure"),
    [
        ([reader([3, 5])], [100.0], "lost 1 messages"),
        ([reader([3, 4], gaps=2)], [100.0], "told of 2"),
        ([reader([3, 4], closed=True)], [100.0], "sent away"),
        ([reader([3, 4])], [100.0, 100.0, 130.0], "memory grew by 30.0 MB"),
    ],
)
def test_what_is_lost_and_what_grows_fails(readers: list[Reader], memory_mb: list[float], failure: str) -> None:
    (said,) = judge(readers, 0, 10, memory_mb)["failures"]
    assert failure in said


def test_readers_lose_nothing_beside_one_who_never_reads(tmp_path: Path) -> None:
    assert main(["--subscribers", "4", "--stalled", "1", "--seconds", "2", "--output", str(tmp_path)]) == 0
    result = json.loads((tmp_path / "subscribers.json").read_text())
    assert (result["missed"], result["gaps"], result["failures"]) == (0, 0, [])
    assert result["messages"] > 25
    assert result["message_bytes"] > 1000
