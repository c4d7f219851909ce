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
        judge({"adapts": Log(), "control": Log()}, flat(), [0] * 100, [])


def test_a_change_over_that_nobody_notices_passes() -> None:
    found = judge({"adapts": steady(change=50), "control": steady()}, flat(), [0] * 100, [10.0, 11.0])
    assert found["failures"] == []
    assert (found["change_overs"], found["decisions"], found["learning_s"]) == (1, ["student_adapted"], 2)


def test_frames_missed_by_both_are_the_machines_doing() -> None:
    holes = tuple(range(40, 50))
    both = judge({"adapts": steady(100, 50, holes), "control": steady(100, None, holes)}, flat(), [0] * 100, [])
    assert both["failures"] == [] and both["missed"] == {"adapts": 10, "control": 10}
    alone = judge({"adapts": steady(100, 50, holes), "control": steady()}, flat(), [0] * 100, [])
    assert ["10.00% of the frames were missed" in one for one in alone["failures"]] == [True]


def test_people_who_are_others_after_change_overs_are_lost() -> None:
    """Four change-overs, at each of which both people get new ids; between them nobody is lost."""
    messages = []
    for index in range(500):
        part = index // 100
        events = ("student_reverted",) if index % 100 == 0 and index else ()
        messages.append(message(index, f"a{part}", f"b{part}", events=events))
    found = judge({"adapts": heard(messages), "control": steady(500)}, flat(), [0] * 100, [])
    assert found["around_change_overs"]["lost"] == 8
    assert any("8 people were lost at change-overs, 0.0 are without one" in one for one in found["failures"])


def test_people_who_leave_all_the_time_are_not_lost_by_change_overs() -> None:
    """Everybody is somebody else in each frame."""
    messages = [message(i, f"a{i}", events=("student_reverted",) if i % 50 == 49 else ()) for i in range(500)]
    found = judge({"adapts": heard(messages), "control": steady(500)}, flat(), [0] * 100, [])
    assert found["around_change_overs"]["lost"] == 10 == found["around_change_overs"]["lost_usually"]
    assert found["failures"] == []


def test_who_is_hidden_for_less_than_two_keyframe_periods_is_not_lost() -> None:
    log = steady(100, 50)
    for place in range(50, 50 + AROUND - 1):
        log.people[place] = frozenset({"a"})
    assert log.lost(50) == 0


def test_memory_that_grows_fails() -> None:
    found = judge({"adapts": steady(), "control": steady()}, flat(mb_per_s=0.2), [0] * 100, [])
    assert ["memory grew by" in one for one in found["failures"]] == [True]


def test_a_student_more_in_memory_is_no_growth() -> None:
    samples = [Held(float(t), 200 + 25 * (t >= 60), 90, 60) for t in range(100)]
    logs = {"adapts": steady(), "control": steady()}
    assert judge(logs, samples, [1] * 60 + [2] * 40, [])["failures"] == []
    assert ["memory grew by" in one for one in judge(logs, samples, [1] * 100, [])["failures"]] == [True]
