from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.pipeline.config import LaneSettings
from edge.pipeline.schedule import EveryFrame, KeyframeSchedule, LaneState, NoFrame, Schedule, Wish


class Lanes:
    """Counts frames as the pipeline's lanes do."""

    def __init__(self, schedule: Schedule, k: int, student_every: int = 1) -> None:
        self.schedule, self.settings = schedule, LaneSettings(k=k, student_every=student_every)
        self.since: dict[str, int | None] = {}

    def tick(self, lane_ids: Sequence[str]) -> frozenset[str]:
        states = []
        for lane_id in lane_ids:
            since = self.since.get(lane_id)
            states.append(LaneState(lane_id, self.settings, None if since is None else since + 1, None))
        self.kinds = {one: wish.kind for one, wish in self.schedule.choose(states).items()}
        for state in states:
            keyframe = self.kinds[state.lane_id] == "teacher"
            self.since[state.lane_id] = 0 if keyframe else state.frames_since_teacher
        return frozenset(lane_id for lane_id, kind in self.kinds.items() if kind == "teacher")


def test_a_tick_without_lanes_has_no_keyframe() -> None:
    for schedule in (KeyframeSchedule(), EveryFrame(), NoFrame()):
        assert schedule.choose([]) == {}


@pytest.mark.parametrize("k", [1, 2, 6, 12])
def test_a_lane_alone_has_every_kth_frame_from_the_first(k: int) -> None:
    lanes = Lanes(KeyframeSchedule(), k)
    assert [n for n in range(40) if lanes.tick(["a"])] == list(range(0, 40, k))


def test_the_baselines_choose_all_and_none() -> None:
    states = [LaneState("a", LaneSettings(k=6), None, None), LaneState("b", LaneSettings(k=6), 3, 0.1)]
    assert EveryFrame().choose(states) == {"a": Wish("teacher"), "b": Wish("teacher")}
    assert NoFrame().choose(states) == {"a": Wish("student"), "b": Wish("student")}


@pytest.mark.parametrize(
    ("k", "student_every", "expected"),
    [
        (6, 1, "TsssssTsssss"),
        (6, 2, "T.s.s.T.s.s."),
        (6, 4, "T...s.T...s."),
        (3, 3, "T..T..T..T.."),
        (2, 9, "T.T.T.T.T.T."),
    ],
)
def test_between_keyframes_the_student_sees_every_so_many_frames(k: int, student_every: int, expected: str) -> None:
    lanes = Lanes(KeyframeSchedule(), k, student_every)
    sign = {"teacher": "T", "student": "s", "predicted": "."}
    seen = ""
    for _ in expected:
        lanes.tick(["a"])
        seen += sign[lanes.kinds["a"]]
    assert seen == expected


@given(st.integers(1, 12), st.integers(1, 30))
def test_lanes_that_start_together_spread_their_keyframes_evenly(k: int, count: int) -> None:
    lanes = Lanes(KeyframeSchedule(), k)
    names = [str(i) for i in range(count)]
    assert lanes.tick(names) == frozenset(names), "everybody's first frame is a keyframe"
    load = [len(lanes.tick(names)) for _ in range(4 * k)]
    assert max(load) <= -(-count // k)
    assert min(load) >= count // k


@given(st.integers(2, 8), st.lists(st.integers(0, 20), min_size=1, max_size=12))
def test_a_lane_that_joins_takes_the_calmest_phase_and_keeps_its_period(k: int, joins: list[int]) -> None:
    lanes = Lanes(KeyframeSchedule(), k)
    keyframes: dict[str, list[int]] = {}
    loads = []
    for tick in range(60):
        present = [str(i) for i, joined in enumerate(joins) if joined <= tick]
        chosen = lanes.tick(present)
        loads.append(len(chosen))
        for lane_id in chosen:
            keyframes.setdefault(lane_id, []).append(tick)
    for i, joined in enumerate(joins):
        first, second, *later = keyframes[str(i)]
        assert first == joined
        assert 1 <= second - first <= k
        assert later == list(range(second + k, 60, k))
    assert max(loads[-k:]) <= -(-len(joins) // k)


def test_a_lane_that_lost_its_keyframe_gets_one_at_once() -> None:
    lanes = Lanes(KeyframeSchedule(), 6)
    for _ in range(3):
        lanes.tick(["a"])
    lanes.since["a"] = None
    assert [bool(lanes.tick(["a"])) for _ in range(7)] == [True] + 5 * [False] + [True]


def test_a_lane_that_comes_back_under_its_old_name_is_a_new_one() -> None:
    schedule = KeyframeSchedule()
    lanes = Lanes(schedule, 4)
    for _ in range(2):
        lanes.tick(["a"])
    schedule.forget("a")
    schedule.forget("never seen")
    lanes.since.clear()
    assert [bool(lanes.tick(["a"])) for _ in range(5)] == [True, False, False, False, True]


def test_a_shorter_period_holds_at_once_and_a_longer_one_from_the_next_keyframe() -> None:
    lanes = Lanes(KeyframeSchedule(), 10)
    seen = []
    for n in range(24):
        lanes.settings = LaneSettings(k=10 if n < 3 else 4 if n < 12 else 7)
        seen.append(bool(lanes.tick(["a"])))
    assert [n for n, keyframe in enumerate(seen) if keyframe] == [0, 6, 10, 14, 21]
