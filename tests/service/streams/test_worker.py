"""The device thread with a scripted pipeline: isolation of streams, commands, start and stop."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edge.pipeline.config import LaneSettings
from edge.pipeline.pipeline import TrackedFrame
from edge.pipeline.timings import StageTimes
from edge.sources.base import Frame
from edge.sources.latest import LatestFrame
from edge.tracking.detections import Tracks
from engines.errors import DeviceLostError
from service.streams.worker import Worker, WorkerStopped
from tests.service.waiting import wait_until


def frame(index: int) -> Frame:
    return Frame(np.zeros((4, 4, 3), np.uint8), index, index / 25, 0.0, "host")


class ScriptedPipeline:
    """Tracks nothing; breaks on the streams named in `broken`, the whole tick with them."""

    modes = ("atttrack", "teacher")
    classes = ("person", "car")

    def __init__(self, depth: int = 1) -> None:
        self.depth = depth
        self.in_flight: list[Mapping[str, Frame]] = []
        self.most_in_flight = 0
        self.times = StageTimes()
        self.lanes: set[str] = set()
        self.batches: list[tuple[str, ...]] = []
        self.broken: set[str] = set()
        self.broken_late: set[str] = set()
        self.set: dict[str, LaneSettings] = {}
        self.students: dict[str, Any] = {}

    def upload(self, pixels: Any) -> Any:
        return ("uploaded", pixels)

    def open_student(self, path: Path) -> Any:
        return path

    def set_student(self, lane_id: str, engine: Any) -> None:
        assert not self.in_flight, "between two ticks"
        self.students[lane_id] = engine

    def add_lane(self, lane_id: str, settings: LaneSettings) -> None:
        if lane_id in self.lanes:
            raise ValueError("twice")
        self.lanes.add(lane_id)
        self.set[lane_id] = settings

    def change_lane(self, lane_id: str, settings: LaneSettings) -> None:
        self.set[lane_id] = settings

    def remove_lane(self, lane_id: str) -> None:
        assert not self.in_flight, "the real pipeline refuses this"
        self.lanes.remove(lane_id)

    def submit(self, frames: Mapping[str, Frame], budget_ms: float | None = None) -> Mapping[str, Frame]:
        self.batches.append(tuple(sorted(frames)))
        if self.broken & frames.keys():
            raise RuntimeError("broken picture")
        self.in_flight.append(frames)
        self.most_in_flight = max(self.most_in_flight, len(self.in_flight))
        assert len(self.in_flight) <= self.depth
        return frames

    def collect(self, in_flight: Mapping[str, Frame]) -> list[TrackedFrame]:
        assert self.in_flight.pop(0) is in_flight, "oldest first"
        if self.broken_late & in_flight.keys():
            raise RuntimeError("broken result")
        return [TrackedFrame(i, f, Tracks.empty(), "teacher", 0) for i, f in in_flight.items()]

    def settle(self) -> None:
        """Nobody is late."""


class FakeStream:
    """A stream whose frames the test puts in."""

    settings = LaneSettings()
    student: Any = None

    def __init__(self, lane_id: str, worker: Worker) -> None:
        self.id = lane_id
        self.door = LatestFrame(worker.bell)
        self.published: list[int] = []
        self.failed: str | None = None
        self.seen = Event()

    @property
    def ready(self) -> bool:
        return self.door.ready

    def take(self) -> Frame | None:
        return self.door.take()

    def publish(self, tracked: TrackedFrame) -> None:
        self.published.append(tracked.frame.index)
        self.seen.set()

    def fail(self, code: str, message: str) -> None:
        self.failed = code
        self.seen.set()


@pytest.fixture
def pipeline() -> ScriptedPipeline:
    return ScriptedPipeline()


@pytest.fixture
def worker(pipeline: ScriptedPipeline) -> Iterator[Worker]:
    worker = Worker(lambda: pipeline)
    worker.start()
    yield worker
    worker.stop()


def put_together(worker: Worker, index: int, *streams: FakeStream) -> None:
    """Give all streams a frame so that one tick takes them together."""
    with worker.bell:
        for stream in streams:
            stream.seen.clear()
            stream.door.put(frame(index))


def test_worker_without_streams_stops() -> None:
    worker = Worker(ScriptedPipeline)
    assert worker.silent_s == 0, "nothing is expected of a thread that has not begun"
    worker.start()
    assert worker.silent_s < 5
    worker.stop()
    assert worker.silent_s == float("inf")


def test_error_while_building_is_raised_by_start() -> None:
    def build() -> ScriptedPipeline:
        raise FileNotFoundError("no model")

    worker = Worker(build)
    with pytest.raises(FileNotFoundError, match="no model"):
        worker.start()
    assert worker.load_s is None


def test_the_time_that_building_takes_is_known_once_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr("service.streams.worker.time", SimpleNamespace(monotonic=lambda: clock.now))

    def build() -> ScriptedPipeline:
        clock.now += 2.5
        return ScriptedPipeline()

    worker = Worker(build)
    assert worker.load_s is None
    worker.start()
    assert worker.load_s == 2.5
    worker.stop()


def test_frames_that_wait_together_go_through_in_one_tick(worker: Worker, pipeline: ScriptedPipeline) -> None:
    streams = [FakeStream(name, worker) for name in "ab"]
    for stream in streams:
        worker.add(stream).result(5)
    put_together(worker, 1, *streams)
    assert all(stream.seen.wait(5) for stream in streams)
    assert pipeline.batches == [("a", "b")]
    assert [stream.published for stream in streams] == [[1], [1]]


def test_broken_lane_is_found_and_the_others_go_on(worker: Worker, pipeline: ScriptedPipeline) -> None:
    streams = {name: FakeStream(name, worker) for name in "abc"}
    for stream in streams.values():
        worker.add(stream).result(5)
    pipeline.broken = {"b"}
    put_together(worker, 1, *streams.values())  # the tick breaks: anybody may be to blame
    wait_until(lambda: pipeline.batches, 5, "the tick")
    put_together(worker, 2, *streams.values())  # each alone: b is found out
    assert all(stream.seen.wait(5) for stream in streams.values())
    assert streams["b"].failed == "pipeline_error"
    assert pipeline.lanes == {"a", "c"}
    put_together(worker, 3, streams["a"], streams["c"])
    assert streams["a"].seen.wait(5)
    assert streams["c"].seen.wait(5)
    assert pipeline.batches == [("a", "b", "c"), ("a",), ("b",), ("c",), ("a", "c")]
    assert streams["a"].published == streams["c"].published == [2, 3]


def test_lane_that_cannot_publish_fails_alone(worker: Worker) -> None:
    class Mute(FakeStream):
        def publish(self, tracked: TrackedFrame) -> None:
            raise RuntimeError("cannot speak")

    mute, good = Mute("a", worker), FakeStream("b", worker)
    worker.add(mute).result(5)
    worker.add(good).result(5)
    put_together(worker, 1, mute)
    assert mute.seen.wait(5)
    assert mute.failed == "pipeline_error"
    put_together(worker, 2, good)
    assert good.seen.wait(5)


def test_nothing_is_published_after_removal(worker: Worker, pipeline: ScriptedPipeline) -> None:
    stream = FakeStream("a", worker)
    worker.add(stream).result(5)
    worker.remove("a").result(5)
    worker.remove("never there").result(5)
    put_together(worker, 1, stream)
    other = FakeStream("b", worker)
    worker.add(other).result(5)
    put_together(worker, 1, other)
    assert other.seen.wait(5)
    assert stream.published == []
    assert pipeline.lanes == {"b"}


def test_lane_is_changed_while_it_runs(worker: Worker, pipeline: ScriptedPipeline) -> None:
    assert worker.modes == ("atttrack", "teacher")
    assert worker.classes == ("person", "car")
    stream = FakeStream("a", worker)
    worker.add(stream).result(5)
    assert pipeline.set == {"a": LaneSettings()}
    stream.settings = LaneSettings(3, "teacher", 0.6, "reset")
    worker.change(stream).result(5)
    assert pipeline.set == {"a": stream.settings}
    worker.change(FakeStream("nobody", worker)).result(5)
    assert pipeline.set.keys() == {"a"}


def test_a_stream_changes_over_between_two_ticks_and_has_its_student_again_when_it_is_added_again(
    worker: Worker, pipeline: ScriptedPipeline
) -> None:
    assert worker.open_student(Path("new.onnx")) == Path("new.onnx")
    stream = FakeStream("a", worker)
    worker.add(stream).result(5)
    assert pipeline.students == {}
    worker.set_student("a", "new").result(5)
    worker.set_student("nobody", "new").result(5)
    assert pipeline.students == {"a": "new"}
    worker.remove("a").result(5)
    stream.student = "newer"
    worker.add(stream).result(5)
    assert pipeline.students == {"a": "newer"}


def test_before_the_networks_are_loaded_no_student_can_be_opened() -> None:
    with pytest.raises(WorkerStopped):
        Worker(ScriptedPipeline).open_student(Path("new.onnx"))


def test_command_stands_when_nobody_waits_for_it_any_more(worker: Worker, pipeline: ScriptedPipeline) -> None:
    for name in "ab":
        worker.add(FakeStream(name, worker)).cancel()
    worker.add(FakeStream("c", worker)).result(5)
    assert pipeline.lanes == {"a", "b", "c"}


def test_refusal_of_the_pipeline_reaches_who_adds(worker: Worker) -> None:
    worker.add(FakeStream("a", worker)).result(5)
    with pytest.raises(ValueError, match="twice"):
        worker.add(FakeStream("a", worker)).result(5)


def test_command_after_the_end_is_refused() -> None:
    worker = Worker(ScriptedPipeline)
    worker.start()
    worker.stop()
    with pytest.raises(WorkerStopped):
        worker.remove("a").result(5)


def test_pictures_are_made_ready_by_whoever_reads_them_once_there_is_a_pipeline() -> None:
    worker = Worker(ScriptedPipeline)
    assert worker.upload("picture") == "picture"
    worker.start()
    assert worker.upload("picture") == ("uploaded", "picture")
    worker.stop()


@pytest.mark.parametrize(("depth", "ticks"), [(2, [("a", "b")]), (1, [("a",), ("b",)])])
def test_on_a_gpu_cameras_that_are_a_little_out_of_step_share_a_tick(
    depth: int, ticks: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a CPU a larger batch saves nothing, so no frame waits there."""
    monkeypatch.setattr("service.streams.worker.GATHER_S", 0.3)
    pipeline = ScriptedPipeline(depth)
    worker = Worker(lambda: pipeline)
    worker.start()
    streams = [FakeStream(name, worker) for name in ("a", "b")]
    for stream in streams:
        worker.add(stream).result(5)
    streams[0].door.put(frame(1))
    time.sleep(0.05)
    streams[1].door.put(frame(1))
    wait_until(lambda: all(stream.published for stream in streams), 5, "both frames")
    worker.stop()
    assert pipeline.batches == ticks


def test_thread_that_dies_leaves_nobody_waiting() -> None:
    class Deadly(FakeStream):
        def take(self) -> Frame | None:
            raise RuntimeError("a bug")

    worker = Worker(ScriptedPipeline)
    worker.start()
    stream = Deadly("a", worker)
    worker.add(stream).result(5)
    stream.door.put(frame(1))
    wait_until(lambda: worker.silent_s == float("inf"), 5, "the end of the thread")
    with pytest.raises(WorkerStopped):
        worker.remove("a").result(5)


def test_a_gpu_that_is_lost_ends_the_thread_and_no_stream_is_blamed() -> None:
    class Lost(ScriptedPipeline):
        def submit(self, frames: Mapping[str, Frame], budget_ms: float | None = None) -> Mapping[str, Frame]:
            raise DeviceLostError("an illegal memory access was encountered (700)")

    worker = Worker(Lost)
    worker.start()
    stream = FakeStream("a", worker)
    worker.add(stream).result(5)
    stream.door.put(frame(1))
    wait_until(lambda: worker.silent_s == float("inf"), 5, "the end of the thread")
    assert stream.failed is None


def test_tick_under_way_is_published_before_the_worker_stops() -> None:
    entered, leave = Event(), Event()

    class Slow(ScriptedPipeline):
        def collect(self, in_flight: Mapping[str, Frame]) -> list[TrackedFrame]:
            entered.set()
            leave.wait(5)
            return super().collect(in_flight)

    worker = Worker(Slow)
    worker.start()
    stream = FakeStream("a", worker)
    worker.add(stream).result(5)
    stream.door.put(frame(1))
    assert entered.wait(5)
    with worker.bell:
        leave.set()  # while the worker is still inside collect
    worker.stop()
    assert stream.published == [1]


def test_late_answers_are_asked_for_when_the_tracks_are_told_and_their_failure_is_the_ticks() -> None:
    told: list[int] = []

    class Late(ScriptedPipeline):
        def settle(self) -> None:
            told.append(len(stream.published))
            if told[1:]:
                raise RuntimeError("the teacher broke")

    worker = Worker(Late)
    worker.start()
    stream = FakeStream("a", worker)
    worker.add(stream).result(5)
    for index in (1, 2):
        stream.door.put(frame(index))
        wait_until(lambda index=index: len(told) == index, 5, "the late answer")
    wait_until(lambda: stream.failed is not None, 5, "the end of the stream")
    worker.stop()
    assert told == [1, 2]


def test_device_that_hangs_is_not_waited_for_when_there_is_no_time() -> None:
    entered, leave = Event(), Event()

    class Hung(ScriptedPipeline):
        def collect(self, in_flight: Mapping[str, Frame]) -> list[TrackedFrame]:
            entered.set()
            leave.wait(30)
            return super().collect(in_flight)

    worker = Worker(Hung)
    worker.start()
    stream = FakeStream("a", worker)
    worker.add(stream).result(5)
    stream.door.put(frame(1))
    assert entered.wait(5)
    worker.stop(0.05)
    assert worker.alive
    leave.set()
    worker.stop()
    assert not worker.alive


class FileStream(FakeStream):
    """A stream with frames that wait, as those of a file do."""

    def __init__(self, lane_id: str, worker: Worker, frames: int) -> None:
        super().__init__(lane_id, worker)
        self.waiting = [frame(index) for index in range(frames)]

    @property
    def ready(self) -> bool:
        return bool(self.waiting)

    def take(self) -> Frame | None:
        return self.waiting.pop(0) if self.waiting else None


@pytest.mark.parametrize("depth", [1, 2])
def test_as_many_ticks_are_in_flight_as_the_pipeline_allows_and_none_is_left_there(depth: int) -> None:
    pipeline = ScriptedPipeline(depth)
    worker = Worker(lambda: pipeline)
    worker.start()
    stream = FileStream("a", worker, frames=5)
    worker.add(stream).result(5)
    wait_until(lambda: stream.published == [0, 1, 2, 3, 4], 5, "all frames in order, the last one too")
    assert pipeline.most_in_flight == depth
    worker.remove("a").result(5)
    worker.stop()


@pytest.mark.parametrize("depth", [1, 2])
def test_a_lane_whose_results_break_is_out_and_the_others_go_on(depth: int) -> None:
    pipeline = ScriptedPipeline(depth)
    pipeline.broken_late.add("bad")
    worker = Worker(lambda: pipeline)
    worker.start()
    good, bad = FileStream("good", worker, frames=9), FileStream("bad", worker, frames=9)
    for stream in (good, bad):
        worker.add(stream).result(5)
    wait_until(lambda: bad.failed == "pipeline_error", 5, "the bad stream to be out")
    wait_until(lambda: 8 in good.published, 5, "the good stream to go on")
    worker.stop()
    assert pipeline.lanes == {"good"}
    assert bad.published == []
