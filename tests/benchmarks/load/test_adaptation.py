"""The verdict on a camera whose student learns while it runs: what it forgives, and what it does not."""

from typing import Any

import pytest

from benchmarks.load.adaptation import AROUND, Log, judge
from benchmarks.load.usage import Held


def message(frame: int, *people: str, events: tuple[str, ...] = (), unseen: float = 0.0) -> dict[str, Any]:
    tracks = [{"uid": one, "unseen": unseen} for one in people]
    return {"frame_id": frame, "tracks": tracks, "events": [{"type": name} for name in events]}


def heard(messages: list[dict[str, Any]]) -> Log:
    log = Log()
    for number, one in enumerate(messages):
        log.hear(one)
        log.times_s[-1] = number / 25
    return log


def steady(count: int = 100, change: int | None = None, left_out: tuple[int, ...] = (), *people: str) -> Log:
    frames = [index for index in range(count) if index not in left_out]
    return heard(
        [message(i, *(people or ("a", "b")), events=("student_adapted",) if i == change else ()) for i in frames]
    )


def flat(seconds: int = 100, mb_per_s: float = 0.0) -> list[Held]:
    return [Held(float(t), 200 + mb_per_s * t, 90, 60) for t in range(seconds)]


def test_without_tracks_there_is_no_verdict() -> None:
    with pytest.raises(ValueError, match="hardly any tracks came"):
        judge({"adapts": Log(), "control": Log()}, flat(), [])


def test_a_change_over_that_nobody_notices_passes() -> None:
    found = judge({"adapts": steady(change=50), "control": steady()}, flat(), [10.0, 11.0])
    assert found["failures"] == []
    assert (found["change_overs"], found["decisions"], found["learning_s"]) == (1, ["student_adapted"], 2)


def test_frames_missed_by_both_are_the_machines_doing() -> None:
    holes = tuple(range(40, 50))
    both = judge({"adapts": steady(100, 50, holes), "control": steady(100, None, holes)}, flat(), [])
    assert both["failures"] == [] and both["missed"] == {"adapts": 10, "control": 10}
    alone = judge({"adapts": steady(100, 50, holes), "control": steady()}, flat(), [])
    assert ["10.00% of the frames were missed" in one for one in alone["failures"]] == [True]


def test_people_who_are_others_after_a_change_over_are_lost() -> None:
    before = [message(i, "a", "b") for i in range(50)]
    after = [message(50 + i, "a", "c", events=("student_reverted",) if i == 0 else ()) for i in range(50)]
    found = judge({"adapts": heard(before + after), "control": steady()}, flat(), [])
    assert found["around_change_overs"]["lost"] == 1
    assert any("1 people were lost at change-overs, of the control 0" in one for one in found["failures"])
    gone = steady(50).people + [frozenset({"a"})] * 50  # somebody left, and the control saw it, too
    control = steady()
    control.people = gone
    assert judge({"adapts": heard(before + after), "control": control}, flat(), [])["failures"] == []


def test_who_is_hidden_for_less_than_two_keyframe_periods_is_not_lost() -> None:
    log = steady(100, 50)
    for place in range(50, 50 + AROUND - 1):
        log.people[place] = frozenset({"a"})
    assert log.lost(50) == 0


def test_memory_that_grows_fails() -> None:
    found = judge({"adapts": steady(), "control": steady()}, flat(mb_per_s=0.2), [])
    assert ["memory grew by" in one for one in found["failures"]] == [True]
