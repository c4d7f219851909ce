"""Students of a lane's own: batches, change-overs between two ticks, and that nobody loses an identity by one."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.ops.host import HostOps
from edge.pipeline.backend import Backend, open_backend
from edge.pipeline.config import LaneSettings, PipelineSettings
from edge.pipeline.pipeline import PipelineError, TrackingPipeline
from engines.engine import Engine
from engines.errors import ModelFileError, SignatureError
from engines.host import HostDevice
from engines.signature import Signature
from tests.support.day import SIGNATURES, Day, assert_same, on_host, see, swapping
from tests.support.drawn import Drawn
from tests.support.recording_device import RecordingDevice, RecordingEngine, RecordingOps
from tests.support.scripted_engine import ScriptedEngine, ScriptedExecution
from tests.support.tiny_pair import signature, write_tiny_pair

SIZE = (320, 192)
SCENE = Drawn(((60, 66), (320, 192), (580, 318)), ((150, 0), (20, 0), (-130, 0)))


class Counted(ScriptedEngine):
    """Tells the batches of each of its executions."""

    def __init__(self, sign: Signature = SIGNATURES["student"]) -> None:
        super().__init__(sign, see)
        self.executions: list[ScriptedExecution] = []

    def prepare(self, max_batch: int) -> ScriptedExecution:
        self.executions.append(super().prepare(max_batch))
        return self.executions[-1]

    @property
    def batches(self) -> list[list[int]]:
        return [one.batches for one in self.executions]


def counted_backend(student: Engine) -> Backend:
    return Backend(HostDevice(), HostOps(), ScriptedEngine(SIGNATURES["teacher"], see), student)


def frames(index: int, *lanes: str) -> dict[str, object]:
    return {lane: Day.frame(lane, index, 9, False) for lane in lanes}


def test_a_pipeline_without_lanes_has_none_to_set_a_student_for() -> None:
    pipeline = TrackingPipeline(on_host())
    with pytest.raises(PipelineError, match="no lane 'lane0'"):
        pipeline.set_student("lane0", None)


def test_lanes_with_the_same_student_are_one_batch_and_the_others_another() -> None:
    shipped, own = Counted(), Counted()
    pipeline = TrackingPipeline(counted_backend(shipped), PipelineSettings(LaneSettings(k=100, threshold=0.1)))
    lanes = [f"lane{number}" for number in range(5)]
    for lane in lanes:
        pipeline.add_lane(lane)
    for lane in lanes[:2]:
        pipeline.set_student(lane, own)
    pipeline.set_student(lanes[2], None)
    for index in range(102):  # every lane's keyframes are behind it for most of them
        pipeline.collect(pipeline.submit(frames(index, *lanes)))
    assert max(shipped.batches[0]) == 3 and max(own.batches[0]) == 2
    assert len(own.executions) == 1, "one network for both"
    before = len(own.batches[0])
    for lane in lanes[:2]:
        pipeline.set_student(lane, None)
    pipeline.collect(pipeline.submit(frames(102, *lanes)))
    assert len(own.batches[0]) == before and max(shipped.batches[0]) >= 4


def test_a_removed_lanes_student_goes_with_it() -> None:
    shipped, own = Counted(), Counted()
    pipeline = TrackingPipeline(counted_backend(shipped), PipelineSettings(LaneSettings(k=2)))
    pipeline.add_lane("lane0")
    pipeline.set_student("lane0", own)
    pipeline.remove_lane("lane0")
    pipeline.add_lane("lane0")
    for index in range(6):
        pipeline.collect(pipeline.submit(frames(index, "lane0")))
    assert not own.batches[0] and shipped.batches[0]


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(1, 7))
@settings(max_examples=15, deadline=None)
def test_a_change_over_to_the_same_network_changes_nothing_whenever_it_comes(day: int, chance: int, lanes: int) -> None:
    """Tracks, ids, who is gone: all as in a pipeline where nobody was ever given another student."""
    plan = Day(day, lanes)
    expected = plan.through(on_host())
    assert_same(swapping(on_host(), plan, lambda: ScriptedEngine(SIGNATURES["student"], see), chance), expected)
    device = RecordingDevice(chance)
    engines = {name: RecordingEngine(one, see, device) for name, one in SIGNATURES.items()}
    backend = Backend(device, RecordingOps(), **engines)
    found = swapping(backend, plan, lambda: RecordingEngine(SIGNATURES["student"], see, device), chance)
    assert_same(found, expected)


def test_a_change_over_to_another_network_loses_no_identity(tmp_path: Path) -> None:
    """Three walkers; from the middle of a keyframe period on another student sees them, and later the first again."""
    write_tiny_pair(tmp_path, SIZE)
    pipeline = TrackingPipeline(open_backend(tmp_path, SIZE, "cpu", pair="tiny"), PipelineSettings(LaneSettings(k=6)))
    pipeline.add_lane("hall")
    ids = []
    for index in range(60):
        if index == 21:
            pipeline.set_student("hall", pipeline.open_student(tmp_path / "tiny-student-320x192.onnx"))
        if index == 45:
            pipeline.set_student("hall", None)
        (tracked,) = pipeline.collect(pipeline.submit({"hall": SCENE.frame(index)}))
        ids.append(tracked.tracks.ids.tolist())
    assert all(sorted(one) == [1, 2, 3] for one in ids[2:])


@pytest.mark.parametrize(
    ("own", "error", "told"),
    [
        (signature("student", (320, 192), prior=True), PipelineError, "the pair's size, 64x32; it has 320x192"),
        (signature("student", (64, 32)), PipelineError, "one of the two has none"),
        (signature("student", (64, 32), True, "other"), SignatureError, "pair is 'tiny' in the teacher and 'other'"),
        (replace(SIGNATURES["student"], embedding_dim=7), SignatureError, "embedding_dim is 3"),
    ],
)
def test_a_student_that_does_not_fit_is_refused_and_the_lane_goes_on(
    own: Signature, error: type[Exception], told: str
) -> None:
    shipped = Counted()
    pipeline = TrackingPipeline(counted_backend(shipped), PipelineSettings(LaneSettings(k=2)))
    pipeline.add_lane("lane0")
    with pytest.raises(error, match=told):
        pipeline.set_student("lane0", ScriptedEngine(own, see))
    for index in range(4):
        pipeline.collect(pipeline.submit(frames(index, "lane0")))
    assert shipped.batches[0] == [1, 1]


def test_a_file_that_is_no_student_with_a_prior_is_not_opened(tmp_path: Path) -> None:
    write_tiny_pair(tmp_path, SIZE)
    pipeline = TrackingPipeline(open_backend(tmp_path, SIZE, "cpu", pair="tiny"))
    with pytest.raises(SignatureError, match="should hold a student with a prior"):
        pipeline.open_student(tmp_path / "tiny-student-plain-320x192.onnx")
    with pytest.raises(ModelFileError, match="no model file at"):
        pipeline.open_student(tmp_path / "nowhere.onnx")
