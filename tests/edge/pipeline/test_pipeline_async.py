"""Two ticks in flight on a device that works on its own: nothing races, and every result is what the host computes."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.ops.host import HostOps
from edge.pipeline.backend import Backend
from edge.pipeline.config import LaneSettings, PipelineSettings
from edge.pipeline.heatmap_memory import HeatmapMemory
from edge.pipeline.lane import Lane
from edge.pipeline.network import Network
from edge.pipeline.pipeline import PipelineError, TrackedFrame, TrackingPipeline
from edge.pipeline.tick import InFlight, Ticket
from edge.sources.base import Frame
from edge.tracking.detections import Detections
from edge.tracking.tracker import Look
from engines.host import HostDevice
from tests.support.day import SIGNATURES, Day, assert_same, on_host, see
from tests.support.recording_device import (
    Race,
    RecordingDevice,
    RecordingEngine,
    RecordingEvent,
    RecordingOps,
    RecordingQueue,
)
from tests.support.scripted_engine import Arrays, ScriptedEngine


def _recording(seed: int = 0) -> Backend:
    device = RecordingDevice(seed)
    engines = {name: RecordingEngine(s, see, device) for name, s in SIGNATURES.items()}
    return Backend(device, RecordingOps(), **engines)


def test_without_frames_nothing_is_put_on_the_device() -> None:
    pipeline = TrackingPipeline(_recording())
    assert pipeline.depth == 2
    first, second = pipeline.submit({}), pipeline.submit({})
    assert pipeline.collect(first) == pipeline.collect(second) == []


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(1, 9))
@settings(max_examples=12, deadline=None)
def test_two_ticks_in_flight_give_what_the_host_gives_one_by_one(day: int, chance: int, lanes: int) -> None:
    plan = Day(day, lanes)
    expected = plan.through(on_host())
    assert any(len(tracked.tracks) for tracked in expected)
    assert_same(plan.through(_recording(chance)), expected)


def test_ticks_are_collected_in_order_and_no_more_than_two_fly() -> None:
    pipeline = TrackingPipeline(_recording())
    pipeline.add_lane("lane0")
    ticks = [{"lane0": Day.frame("lane0", i, 9, False)} for i in range(3)]
    first, second = pipeline.submit(ticks[0]), pipeline.submit(ticks[1])
    with pytest.raises(PipelineError, match="cannot submit"):
        pipeline.submit(ticks[2])
    with pytest.raises(PipelineError, match="oldest first"):
        pipeline.collect(second)
    with pytest.raises(PipelineError, match="cannot remove a lane"):
        pipeline.remove_lane("lane0")
    assert [pipeline.collect(tick)[0].kind for tick in (first, second)] == ["teacher", "student"]
    pipeline.remove_lane("lane0")


def test_the_host_waits_for_a_keyframe_early_only_where_a_prior_needs_it() -> None:
    backend = _recording()
    pipeline = TrackingPipeline(backend, PipelineSettings(LaneSettings(k=3)))
    for lane in ("lane0", "lane1"):
        pipeline.add_lane(lane)
    device = backend.device
    assert isinstance(device, RecordingDevice)

    def frames(index: int, *lanes: str) -> dict[str, Frame]:
        return {lane: Day.frame(lane, index, 40 + index, False) for lane in lanes}

    keyframe = pipeline.submit(frames(0, "lane0"))
    other = pipeline.submit(frames(0, "lane1"))
    assert device.clock == {}, "two keyframes, and the host has waited for nothing"
    pipeline.collect(keyframe)
    student = pipeline.submit(frames(1, "lane0"))
    assert other.shares[0].tracked is None, "lane1's teacher may go on"
    pipeline.collect(other)
    needs = pipeline.submit(frames(1, "lane1"))
    assert student.shares[0].tracked is None
    for tick in (student, needs):
        pipeline.collect(tick)
    keyframe = pipeline.submit(frames(2, "lane0") | frames(2, "lane1"))
    assert {share.network for share in keyframe.shares} == {"student", "teacher"}, "phases are staggered"
    pipeline.submit(frames(3, "lane0") | frames(3, "lane1"))
    assert {share.network for share in keyframe.shares if share.tracked is not None} == {"teacher"}


# --- the tests above can fail: whatever is taken away is noticed


DAYS = 4


@pytest.fixture(scope="module", autouse=True)
def expected() -> list[list[TrackedFrame]]:
    """What the host says of each day, before anything is taken away."""
    return [Day(seed).through(on_host()) for seed in range(DAYS)]


@pytest.fixture
def fails(expected: list[list[TrackedFrame]]) -> Callable[[], None]:
    """Some day, the recording device or the comparison must notice."""

    def run() -> None:
        for seed in range(DAYS):
            assert_same(Day(seed).through(_recording(seed)), expected[seed])

    return run


def test_these_days_pass_as_they_are(fails: Callable[[], None]) -> None:
    fails()


def test_without_the_students_wait_for_the_heatmap_it_is_a_race(
    fails: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RecordingQueue, "wait", lambda self, event: None)
    with pytest.raises(Race, match=r"extrapolate reads .* without waiting for a copy"):
        fails()


@pytest.mark.parametrize("network", ["teacher", "student"])
def test_without_waiting_for_a_networks_results_it_is_a_race(
    fails: Callable[[], None], monkeypatch: pytest.MonkeyPatch, network: str
) -> None:
    handle = 1 if network == "teacher" else 2
    wait = RecordingEvent.synchronize
    monkeypatch.setattr(
        RecordingEvent, "synchronize", lambda event: wait(event) if event.queue.handle != handle else None
    )
    with pytest.raises(Race, match=r"the host reads page-locked memory .* without waiting for a copy"):
        fails()


def test_without_a_second_set_of_results_it_is_a_race(
    fails: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrackingPipeline, "_free_turn", lambda self: 0)
    with pytest.raises(Race, match="page-locked memory"):
        fails()


def test_without_a_second_slot_for_the_heatmap_it_is_a_race(
    fails: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    put_aside = HeatmapMemory.put_aside

    def always_there(memory: HeatmapMemory, heatmap: object, cuda_stream: object) -> int:
        memory._put_aside = 1
        return put_aside(memory, heatmap, cuda_stream)

    monkeypatch.setattr(HeatmapMemory, "put_aside", always_there)
    with pytest.raises(Race, match=r"a copy writes device memory .* without waiting for extrapolate"):
        fails()


def test_without_the_early_look_at_a_keyframe_priors_are_wrong(
    fails: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrackingPipeline, "_finish_keyframes_of", lambda self, tickets: None)
    with pytest.raises(AssertionError):
        fails()


def test_the_device_notices_memory_that_was_never_written() -> None:
    device = RecordingDevice()
    queue, array = device.cuda_stream(), device.empty((4, 2), np.float32)
    device.copy(np.zeros((2, 2), np.float32), array[:2], queue)
    out = device.host_empty((2, 2), np.float32)
    device.copy(array[:2], out, queue)
    with pytest.raises(Race, match="which nobody has written"):
        device.copy(array[2:], out, queue)


# --- errors


def test_after_an_error_the_lanes_begin_with_keyframes_again_and_go_on_as_on_the_host() -> None:
    broken: list[bool] = []

    def look(inputs: Arrays, outputs: Arrays) -> None:
        if broken:
            raise RuntimeError("the network broke")
        see(inputs, outputs)

    engines = {name: ScriptedEngine(s, look) for name, s in SIGNATURES.items()}
    pipeline = TrackingPipeline(Backend(HostDevice(), HostOps(), **engines))
    pipeline.add_lane("lane0", LaneSettings(k=4))
    kinds = []
    for index in range(9):
        broken[:] = [True] if index == 2 else []
        frames = {"lane0": Day.frame("lane0", index, 9, False)}
        if broken:
            with pytest.raises(RuntimeError, match="the network broke"):
                pipeline.submit(frames)
        else:
            kinds.append(pipeline.collect(pipeline.submit(frames))[0].kind[0])
    assert "".join(kinds) == "ts" + "tssst" + "s"


def test_an_error_in_the_early_look_loses_both_ticks_and_the_next_begins_with_keyframes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    look = Lane.look

    def breaks(lane: Lane, detections: Detections, frame: Frame, *rest: object) -> Look:
        if (lane.lane_id, frame.index) == ("lane0", 0):
            raise RuntimeError("the tracker broke")
        return look(lane, detections, frame, *rest)

    monkeypatch.setattr(Lane, "look", breaks)
    pipeline = TrackingPipeline(_recording(), PipelineSettings(LaneSettings(k=2)))
    for lane in ("lane0", "lane1"):
        pipeline.add_lane(lane)

    def submit(index: int) -> InFlight:
        return pipeline.submit({lane: Day.frame(lane, index, 50 + index, False) for lane in pipeline.lane_ids})

    first = submit(0)
    with pytest.raises(RuntimeError, match="the tracker broke"):
        submit(1)
    assert pipeline.collect(first) == [], "lane0 broke, and lane1 was in the same share"
    second, third = submit(2), submit(3)
    assert [tracked.kind for tracked in pipeline.collect(second)] == ["teacher", "teacher"]
    assert len(pipeline.collect(third)) == 2


def test_a_tick_that_is_lost_leaves_the_results_of_the_one_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    enqueue = Network.enqueue

    def breaks(network: Network, tickets: Sequence[Ticket], turn: int) -> None:
        if (tickets[0].lane.lane_id, tickets[0].frame.index) == ("lane1", 1):
            raise RuntimeError("the network broke")
        enqueue(network, tickets, turn)

    monkeypatch.setattr(Network, "enqueue", breaks)
    pipeline = TrackingPipeline(_recording())
    pipeline.add_lane("lane0", LaneSettings(mode="teacher", threshold=0.1))
    pipeline.add_lane("lane1", LaneSettings(mode="student", threshold=0.1))
    first = pipeline.submit({"lane0": Day.frame("lane0", 0, 40, False)})
    with pytest.raises(RuntimeError, match="the network broke"):  # when the teacher has the tick already
        pipeline.submit({lane: Day.frame(lane, 1, 60, False) for lane in pipeline.lane_ids})
    second = pipeline.submit({"lane0": Day.frame("lane0", 2, 76, False)})
    seen = [pipeline.collect(tick)[0].tracks.scores[0] for tick in (first, second)]

    alone = TrackingPipeline(on_host())
    alone.add_lane("lane0", LaneSettings(mode="teacher", threshold=0.1))
    frames = [Day.frame("lane0", index, brightness, False) for index, brightness in ((0, 40), (2, 76))]
    assert seen == [alone.collect(alone.submit({"lane0": frame}))[0].tracks.scores[0] for frame in frames]
    assert seen[0] != seen[1]
