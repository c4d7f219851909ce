"""A keyframe that does not wait for its teacher: the student answers at once, the teacher's answer mends it later."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.ops.host import HostOps
from edge.pipeline.backend import Backend
from edge.pipeline.config import LaneSettings, PipelineSettings
from edge.pipeline.heatmap_memory import HeatmapMemory
from edge.pipeline.look_costs import StatedCosts
from edge.pipeline.pipeline import TrackedFrame, TrackingPipeline
from edge.sources.base import Frame
from engines.host import HostDevice
from tests.support.day import SIGNATURES, Day, on_host, see
from tests.support.recording_device import Race, RecordingDevice, RecordingEngine, RecordingOps
from tests.support.scripted_backend import Crowd
from tests.support.scripted_engine import Arrays, ScriptedEngine

FPS = 10.0
ALWAYS = math.inf


class Scene(Crowd):
    """The teacher sees everybody exactly, the student not the last, and everybody else a little beside."""

    def __init__(self, people: int = 3) -> None:
        rng = np.random.default_rng(people)
        starts, speeds = rng.uniform((15, 12), (60, 36), (people, 2)), rng.uniform(-3, 3, (people, 2))
        super().__init__(starts, speeds, np.full((people, 2), (6.0, 12.0)))
        self.asked = ""

    def _teach(self, inputs: Arrays, outputs: Arrays) -> None:
        self.asked += "t"
        self._look_at(inputs)
        super()._teach(inputs, outputs)

    def _learn(self, inputs: Arrays, outputs: Arrays) -> None:
        self.asked += "s"
        self._look_at(inputs)
        self.heatmap_of_prior = float(inputs["prior"].max())
        super()._learn(inputs, outputs)
        outputs["boxes"][:] += 2
        outputs["scores"][len(self.starts) - 1 :] = 0

    def _look_at(self, inputs: Arrays) -> None:
        """The picture's brightness says when it was taken."""
        index = int(inputs["image"][0, 96, 160])
        self.time_s = index / FPS
        self.heatmap[:] = (index + 1) / 100

    def frame(self, index: int, session: int = 0, width: int = 640) -> Frame:
        return Frame(np.full((384, width, 3), index, np.uint8), index, index / FPS, 0.0, "media", session=session)


def run(scene: Scene, frames: int, k: int, budget_ms: float | None) -> list[TrackedFrame]:
    pipeline = TrackingPipeline(scene.backend, PipelineSettings(LaneSettings(k)))
    pipeline.add_lane("a")
    tracked = []
    for index in range(frames):
        tracked += pipeline.collect(pipeline.submit({"a": scene.frame(index)}, budget_ms))
        pipeline.settle()
    return tracked


def recording(seed: int) -> Backend:
    device = RecordingDevice(seed)
    return Backend(device, RecordingOps(), **{name: RecordingEngine(s, see, device) for name, s in SIGNATURES.items()})


def test_without_anybody_a_late_teacher_is_one_who_sees_nobody() -> None:
    scene = Scene(0)
    assert [(one.kind, len(one.tracks)) for one in run(scene, 3, 2, ALWAYS)] == [
        ("teacher", 0),
        ("student", 0),
        ("teacher", 0),
    ]


def test_the_student_answers_first_and_the_teacher_when_that_was_told() -> None:
    scene = Scene()
    pipeline = TrackingPipeline(scene.backend, PipelineSettings(LaneSettings(3)))
    pipeline.add_lane("a")
    asked = []
    for index in range(7):
        scene.asked = ""
        (one,) = pipeline.collect(pipeline.submit({"a": scene.frame(index)}, ALWAYS))
        before, scene.asked = scene.asked, ""
        pipeline.settle()
        asked.append((one.kind[0], one.origin[0], one.since_teacher, before, scene.asked))
    late, student = ("t", "s", 0, "s", "t"), [("s", "s", since, "s", "") for since in (1, 2)]
    assert asked == [("t", "t", 0, "t", ""), *student, late, *student, late]


@pytest.mark.parametrize("k", [2, 3, 6])
def test_between_keyframes_all_is_as_with_a_teacher_in_time(k: int) -> None:
    late, in_time = run(Scene(5), 25, k, ALWAYS), run(Scene(5), 25, k, None)
    for ours, theirs in zip(late, in_time, strict=True):
        assert (ours.kind, ours.since_teacher) == (theirs.kind, theirs.since_teacher)
        if ours.kind == "student":
            np.testing.assert_array_equal(ours.tracks.xyxy, theirs.tracks.xyxy)
            np.testing.assert_array_equal(ours.tracks.ids, theirs.tracks.ids)
    assert {one.late for one in late if one.kind == "teacher" and one.frame.index} == {True}
    assert not any(one.late for one in in_time)


def test_the_late_heatmap_is_the_prior_of_the_next_frame_and_the_old_one_that_of_its_own() -> None:
    scene, priors = Scene(), []
    pipeline = TrackingPipeline(scene.backend, PipelineSettings(LaneSettings(2)))
    pipeline.add_lane("a")
    for index in range(6):
        pipeline.collect(pipeline.submit({"a": scene.frame(index)}, ALWAYS))
        priors.append(round(100 * scene.heatmap_of_prior) if index else None)
    assert priors == [None, 1, 1, 3, 3, 5]


def test_nobody_settling_means_that_the_next_frame_does() -> None:
    calm, scene = Scene(4), Scene(4)
    pipeline = TrackingPipeline(scene.backend, PipelineSettings(LaneSettings(3)))
    pipeline.add_lane("a")
    for theirs in run(calm, 12, 3, ALWAYS):
        (ours,) = pipeline.collect(pipeline.submit({"a": scene.frame(theirs.frame.index)}, ALWAYS))
        np.testing.assert_array_equal(ours.tracks.xyxy, theirs.tracks.xyxy)


@pytest.mark.parametrize(("budget_ms", "late"), [(0.0, 0), (66.0, 0), (68.0, 1), (75.0, 2), (ALWAYS, 2)])
def test_on_a_processor_keyframes_are_late_where_there_is_time_for_both_looks(budget_ms: float, late: int) -> None:
    scene = Scene()
    pipeline = TrackingPipeline(scene.backend, PipelineSettings(LaneSettings(3)), StatedCosts(30, 7))
    for lane in "ab":  # one after the other, so that both have their next keyframes in the same tick
        pipeline.add_lane(lane)
        for index in range(3):
            pipeline.collect(pipeline.submit({lane: scene.frame(index)}))
    tracked = pipeline.collect(pipeline.submit(dict.fromkeys("ab", scene.frame(3)), budget_ms))
    assert [one.kind for one in tracked] == ["teacher", "teacher"]
    assert sum(one.late for one in tracked) == late


def test_a_teacher_on_every_frame_and_a_lane_without_heatmap_do_wait() -> None:
    assert not any(one.late for one in run(Scene(), 4, 1, ALWAYS))
    scene = Scene()
    pipeline = TrackingPipeline(scene.backend, PipelineSettings(LaneSettings(2)))
    pipeline.add_lane("a")
    late = []
    for index, (session, width) in enumerate([(0, 640), (0, 640), (0, 640), (1, 640), (1, 640), (1, 320), (1, 320)]):
        (one,) = pipeline.collect(pipeline.submit({"a": scene.frame(index, session, width)}, ALWAYS))
        late.append((one.kind[0], one.late))
    t, s = ("t", False), ("s", False)
    assert late == [t, s, ("t", True), t, s, t, s]


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(1, 6))
@settings(max_examples=10, deadline=None)
def test_on_a_device_with_queues_nothing_races_however_late_the_answers(day: int, chance: int, lanes: int) -> None:
    plan = Day(day, lanes)
    ours, theirs = plan.through(recording(chance), ALWAYS), plan.through(on_host(), ALWAYS)
    assert [(one.lane_id, one.frame.index, one.kind) for one in ours] == [
        (one.lane_id, one.frame.index, one.kind) for one in theirs
    ]
    assert all(one.tracks.clock_s == other.tracks.clock_s for one, other in zip(ours, theirs, strict=True))


def test_without_waiting_for_the_readers_of_a_slot_it_is_a_race(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail."""
    monkeypatch.setattr(HeatmapMemory, "readers", property(lambda _: (), lambda _, events: None), raising=False)
    with pytest.raises(Race, match=r"a copy writes device memory .* without waiting for extrapolate"):
        for seed in range(20):
            Day(seed, 2).through(recording(seed), ALWAYS)


def test_a_late_teacher_that_breaks_costs_its_lanes_a_keyframe_and_nothing_else() -> None:
    broken: list[bool] = []

    def teach(inputs: Arrays, outputs: Arrays) -> None:
        if broken:
            raise RuntimeError("the network broke")
        see(inputs, outputs)

    engines = {name: ScriptedEngine(s, teach if name == "teacher" else see) for name, s in SIGNATURES.items()}
    pipeline = TrackingPipeline(Backend(HostDevice(), HostOps(), **engines), PipelineSettings(LaneSettings(2)))
    pipeline.add_lane("lane0")
    told: list[tuple[str, bool]] = []
    for index in range(6):
        broken[:] = [True] if index == 2 else []
        (one,) = pipeline.collect(pipeline.submit({"lane0": Day.frame("lane0", index, 9, False)}, ALWAYS))
        told.append((one.kind[0], one.late))
        if broken:
            with pytest.raises(RuntimeError, match="the network broke"):
                pipeline.settle()
    assert told == [("t", False), ("s", False), ("t", True), ("t", False), ("s", False), ("t", True)]


def test_a_lane_may_go_or_change_while_its_teacher_is_awaited() -> None:
    for change in (LaneSettings(3, mode="naive"), LaneSettings(3, schedule="adaptive"), None):
        pipeline = TrackingPipeline(on_host(), PipelineSettings(LaneSettings(2)))
        pipeline.add_lane("lane0")
        kinds: list[str] = []

        def go(indices: Sequence[int], pipeline: TrackingPipeline = pipeline, kinds: list[str] = kinds) -> None:
            for index in indices:
                frames = {"lane0": Day.frame("lane0", index, 9, False)}
                kinds.extend(one.kind[0] for one in pipeline.collect(pipeline.submit(frames, ALWAYS)))

        go(range(3))
        if change is None:
            pipeline.remove_lane("lane0")
            pipeline.add_lane("lane0")
        else:
            pipeline.change_lane("lane0", change)
        go(range(3, 5))
        assert "".join(kinds[:4]) == "tstt"
