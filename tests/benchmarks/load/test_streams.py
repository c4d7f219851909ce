"""How many streams are carried: the search, the verdict, and a short run of the real service over RTSP."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.load.listener import Arrival
from benchmarks.load.streams import judge, main, search
from tests.support.tiny_pair import write_tiny_pair


def frames(count: int, age_ms: float = 30.0, missing: tuple[int, ...] = ()) -> list[Arrival]:
    kinds = ["teacher" if i % 6 == 0 else "student" for i in range(count)]
    return [Arrival(i / 15, age_ms, age_ms, i, kinds[i], 3, 0) for i in range(count) if i not in missing]


@given(st.integers(0, 40), st.integers(1, 40))
def test_the_search_finds_the_largest_number_that_is_carried(capacity: int, most: int) -> None:
    asked: list[int] = []

    def carries(count: int) -> bool:
        asked.append(count)
        return count <= capacity

    assert search(carries, most) == min(capacity, most)
    assert len(set(asked)) == len(asked)
    assert max(asked) <= most


def test_no_stream_at_all_gave_no_frame() -> None:
    assert judge([[]], 15, 10).failures == ["1 streams gave nothing", "0.0% of the frames came"]


def test_fresh_and_complete_streams_are_carried() -> None:
    probe = judge([frames(150), frames(149)], 15, 10)
    assert probe.carried
    assert probe.age_ms["teacher"] == {"p50": 30.0, "p95": 30.0, "p99": 30.0, "count": 50}


@pytest.mark.parametrize(
    ("streams", "failure"),
    [
        ([frames(150), frames(150, age_ms=101.0)], "p95 age 101 ms"),
        ([frames(150), frames(150, missing=(70,))], "1 frames missing"),
        ([frames(150), frames(140)], "96.7% of the frames came"),
    ],
)
def test_what_is_late_or_lost_is_not_carried(streams: list[list[Arrival]], failure: str) -> None:
    assert judge(streams, 15, 10).failures == [failure]


def test_the_real_service_is_driven_over_rtsp_and_websocket(tmp_path: Path) -> None:
    write_tiny_pair(tmp_path, (320, 192))
    arguments = ["--quick", "--models", str(tmp_path), "--pair", "tiny", "--size", "320x192", "--device", "cpu"]
    arguments += ["--video", "synthetic://?width=320&height=192&people=2&fps=10", "--fps", "10"]
    assert main([*arguments, "--output", str(tmp_path)]) == 0
    result = json.loads((tmp_path / "streams-quick.json").read_text())
    probes = result["probes"]
    assert 0 <= result["carried"] <= 2
    assert probes[0]["streams"] == 1
    assert probes[0]["messages"] > 0
    assert probes[0]["age_ms"].keys() >= {"all", "student"}
