"""The device thread: every tick takes the newest frame of each stream through the pipeline and publishes its tracks."""

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from threading import Condition, Thread
from typing import Any, Protocol

from edge.ops.pixels import Pixels
from edge.pipeline.budget import Allowance
from edge.pipeline.config import LaneSettings, Mode
from edge.pipeline.pipeline import TrackedFrame
from edge.pipeline.timings import StageTimes
from edge.sources.base import Frame
from engines.engine import Engine
from engines.errors import DeviceLostError
from engines.signature import PEOPLE
from service.logs import fields

log = logging.getLogger(__name__)

IDLE_S = 0.25
"""Longest sleep of an idle worker; its heart beats at least this often."""
GATHER_S = 0.004
"""How long a frame waits on a GPU for those of other streams: cameras are out of step, and a batch of eight costs next
to nothing more than one of one."""


class WorkerStopped(Exception):
    """A command came after the end of the device thread."""


class Pipeline(Protocol):
    """What the worker needs of `edge.pipeline.pipeline.TrackingPipeline`."""

    @property
    def times(self) -> StageTimes: ...
    @property
    def modes(self) -> tuple[Mode, ...]: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def depth(self) -> int:
        """Ticks that may be in flight."""
        ...

    def upload(self, pixels: Pixels) -> Pixels:
        """See `edge.ops.base.Ops.upload`."""
        ...

    def open_student(self, path: Path) -> Engine:
        """See `TrackingPipeline.open_student`. May be called on any thread."""
        ...

    def set_student(self, lane_id: str, engine: Engine | None) -> None: ...
    def add_lane(self, lane_id: str, settings: LaneSettings) -> None: ...
    def change_lane(self, lane_id: str, settings: LaneSettings) -> None: ...
    def remove_lane(self, lane_id: str) -> None: ...
    def submit(self, frames: Mapping[str, Frame], budget_ms: float | None = None) -> Any: ...
    def collect(self, in_flight: Any) -> list[TrackedFrame]: ...
    def settle(self) -> None: ...


class Trackable(Protocol):
    """A stream as the worker sees it; all methods are called on the device thread."""

    @property
    def id(self) -> str: ...
    @property
    def settings(self) -> LaneSettings: ...
    @property
    def student(self) -> Engine | None:
        """The one that it has in place of the pair's."""
        ...

    @property
    def ready(self) -> bool:
        """Whether a frame waits."""
        ...

    def take(self) -> Frame | None:
        """Return the newest frame not taken yet, without waiting."""
        ...

    def publish(self, tracked: TrackedFrame) -> None:
        """Send out what was tracked; must not wait."""
        ...

    def fail(self, code: str, message: str) -> None:
        """The pipeline cannot go on with this stream; the lane was removed."""
        ...


OnTick = Callable[[StageTimes, list[TrackedFrame]], None]
"""Gets the pipeline's stopwatches, which never go back, and what the tick tracked."""


class Worker:
    """Owns the pipeline and its thread. All methods may be called on any thread."""

    def __init__(self, build: Callable[[], Pipeline], on_tick: OnTick = lambda times, tracked: None) -> None:
        """`on_tick` hears of each tick, on the device thread."""
        self._build = build
        self._on_tick = on_tick
        self.bell = Condition()
        """To be rung when a stream has a new frame; `edge.sources.latest.LatestFrame` does."""
        self.modes: tuple[Mode, ...] = ()
        """What a stream may run; none until the pipeline is built."""
        self.classes: tuple[str, ...] = PEOPLE
        """What the networks see, as far as it is known."""
        self.load_s: float | None = None
        """How long building the pipeline took; None until it is built."""
        self.on_gpu = False
        """Whether the pipeline computes on a device that works on its own."""
        self.lost: DeviceLostError | None = None
        """Why the device thread ended, where that was for want of a device: this process cannot have it back."""
        self._upload: Callable[[Pixels], Pixels] = lambda pixels: pixels
        self._open_student: Callable[[Path], Engine] | None = None
        self._commands: deque[Callable[[Pipeline], None]] = deque()
        self._stopping = False
        self._built: Future[None] = Future()
        self._thread = Thread(target=self._run, name="device", daemon=True)
        self._streams: dict[str, Trackable] = {}
        self._in_flight: deque[tuple[Mapping[str, Frame], Any]] = deque()
        self._suspects: set[str] = set()
        self._beat_at = time.monotonic()
        self._allowance = Allowance(self._beat_at)
        self.busy_s = 0.0
        """Time that ticks took, in all."""

    def upload(self, pixels: Pixels) -> Pixels:
        """A picture as the pipeline likes it best, made so by the thread that read it."""
        return self._upload(pixels)

    def open_student(self, path: Path) -> Engine:
        """A student to set for streams. Raises EngineError for a file that does not fit, WorkerStopped too early."""
        if self._open_student is None:
            raise WorkerStopped("the networks are not loaded yet")
        return self._open_student(path)

    def start(self) -> None:
        """Build the pipeline on the device thread; raises what building raised."""
        self.launch().result()

    def launch(self) -> "Future[None]":
        """Start the device thread; the future is done when the pipeline is built, or has what building raised."""
        self._built.set_running_or_notify_cancel()  # whoever waits may go, the building goes on
        self._thread.start()
        return self._built

    def stop(self, timeout_s: float | None = None) -> None:
        """Finish the ticks under way, publish them and end the thread; see `alive`, if it does not in time.

        A pipeline being built is not waited for.
        """
        with self.bell:
            self._stopping = True
            self.bell.notify_all()
        if self.alive and not self.building:
            self._thread.join(timeout_s)

    @property
    def building(self) -> bool:
        """Whether the device thread still builds the pipeline; its heart does not beat meanwhile."""
        return self.alive and not self._built.done()

    @property
    def alive(self) -> bool:
        """Whether the device thread has not ended."""
        return self._thread.is_alive()

    @property
    def silent_s(self) -> float:
        """Seconds since the last sign of life; 0 before the thread began, infinite once it ended."""
        if self._thread.ident is None:
            return 0.0
        return time.monotonic() - self._beat_at if self.alive else float("inf")

    def add(self, stream: Trackable) -> "Future[None]":
        """Track `stream` from the next tick on; the future has the error if the pipeline refuses."""
        return self._command(lambda pipeline: self._add(pipeline, stream))

    def change(self, stream: Trackable) -> "Future[None]":
        """Apply the stream's settings as they are now. Unknown streams are ignored."""
        return self._command(lambda pipeline: self._change(pipeline, stream))

    def set_student(self, lane_id: str, engine: Engine | None) -> "Future[None]":
        """Change a stream over to another student between two ticks; None: the pair's. Unknown streams are ignored."""
        return self._command(lambda pipeline: self._set_student(pipeline, lane_id, engine))

    def remove(self, lane_id: str) -> "Future[None]":
        """Forget a stream; once done, nothing of it is published any more. Unknown streams are ignored."""
        return self._command(lambda pipeline: self._remove(pipeline, lane_id))

    def _command(self, action: Callable[[Pipeline], None]) -> "Future[None]":
        done: Future[None] = Future()
        done.set_running_or_notify_cancel()  # whoever waits may go, the command stands

        def obey(pipeline: Pipeline) -> None:
            try:
                action(pipeline)
            except Exception as error:  # the caller's to handle, not the device thread's
                done.set_exception(error)
            else:
                done.set_result(None)

        with self.bell:
            if self._stopping:
                done.set_exception(WorkerStopped("the device thread has stopped"))
            else:
                self._commands.append(obey)
                self.bell.notify_all()
        return done

    def _run(self) -> None:
        began_s = time.monotonic()
        try:
            pipeline = self._build()
            self.modes, self.classes, self.load_s = pipeline.modes, pipeline.classes, time.monotonic() - began_s
            self._upload, self.on_gpu = pipeline.upload, pipeline.depth > 1
            self._open_student = pipeline.open_student
        except BaseException as error:
            self._built.set_exception(error)
            return
        self._built.set_result(None)
        try:
            while self._wait():
                if self._commands:
                    self._finish(pipeline)  # streams come and go between ticks
                    self._obey(pipeline)
                if self.on_gpu:
                    self._gather()
                if frames := self._take():
                    self._tick(pipeline, frames)
                else:
                    self._finish(pipeline)  # nothing new to compute meanwhile
            self._finish(pipeline)
        except DeviceLostError as error:
            log.critical("the GPU is lost: %s", error, extra=fields("device_lost"))
            self.lost = error
        except Exception:  # /healthz tells; a thread that just ended would say nothing
            log.critical("the device thread died", exc_info=True, extra=fields("worker_died"))
        finally:
            with self.bell:
                self._stopping = True
            self._obey(pipeline)  # nobody shall wait for ever

    def _obey(self, pipeline: Pipeline) -> None:
        while self._commands:
            self._commands.popleft()(pipeline)

    def _wait(self) -> bool:
        """Sleep until there is something to do; False when it is time to stop."""
        self._beat_at = time.monotonic()
        with self.bell:
            self.bell.wait_for(self._has_work, IDLE_S)
            return not self._stopping

    def _has_work(self) -> bool:
        waiting = self._stopping or bool(self._commands) or bool(self._in_flight)
        return waiting or any(stream.ready for stream in self._streams.values())

    def _gather(self) -> None:
        """Let streams that are a little late share the tick of those that have a frame."""
        ready = sum(stream.ready for stream in self._streams.values())
        if 0 < ready < len(self._streams):
            time.sleep(GATHER_S)

    def _add(self, pipeline: Pipeline, stream: Trackable) -> None:
        pipeline.add_lane(stream.id, stream.settings)
        if stream.student is not None:
            pipeline.set_student(stream.id, stream.student)
        self._streams[stream.id] = stream

    def _change(self, pipeline: Pipeline, stream: Trackable) -> None:
        if stream.id in self._streams:
            pipeline.change_lane(stream.id, stream.settings)

    def _set_student(self, pipeline: Pipeline, lane_id: str, engine: Engine | None) -> None:
        if lane_id in self._streams:
            pipeline.set_student(lane_id, engine)

    def _remove(self, pipeline: Pipeline, lane_id: str) -> None:
        self._suspects.discard(lane_id)
        if self._streams.pop(lane_id, None) is not None:
            pipeline.remove_lane(lane_id)

    def _take(self) -> dict[str, Frame]:
        return {lane_id: frame for lane_id, stream in self._streams.items() if (frame := stream.take()) is not None}

    def _tick(self, pipeline: Pipeline, frames: dict[str, Frame]) -> None:
        for batch in self._batches(frames):
            began_s = time.monotonic()
            try:
                self._in_flight.append((batch, pipeline.submit(batch, self._allowance.budget_ms(began_s))))
            except DeviceLostError:
                raise  # no stream is to blame, and none can go on: the thread ends, and the service with it
            except Exception:  # whatever a stream's frame breaks, the other streams go on
                self._blame(pipeline, batch)
            self._finish(pipeline, pipeline.depth - 1)
            self._settle(pipeline, batch)
            took_s = time.monotonic() - began_s
            self.busy_s += took_s
            self._allowance.spend(took_s)

    def _settle(self, pipeline: Pipeline, batch: Mapping[str, Frame]) -> None:
        """Now that the tracks are told there may be time for what they could not wait for."""
        try:
            pipeline.settle()
        except DeviceLostError:
            raise
        except Exception:  # as in `_tick`
            self._blame(pipeline, batch)

    def _finish(self, pipeline: Pipeline, leave: int = 0) -> None:
        """Publish what is in flight, oldest first, until `leave` ticks are; the device computes these meanwhile."""
        while len(self._in_flight) > leave:
            batch, in_flight = self._in_flight.popleft()
            try:
                tick = pipeline.collect(in_flight)
                for tracked in tick:
                    self._streams[tracked.lane_id].publish(tracked)
                self._on_tick(pipeline.times, tick)
            except DeviceLostError:
                raise
            except Exception:  # as in `_tick`
                self._blame(pipeline, batch)
            else:
                self._suspects -= batch.keys()

    def _batches(self, frames: dict[str, Frame]) -> list[dict[str, Frame]]:
        """All streams at once, but each suspect alone, so that one that breaks the tick breaks only its own."""
        trusted = {lane_id: frame for lane_id, frame in frames.items() if lane_id not in self._suspects}
        alone = [{lane_id: frames[lane_id]} for lane_id in sorted(frames.keys() & self._suspects)]
        return [trusted, *alone] if trusted else alone

    def _blame(self, pipeline: Pipeline, batch: Mapping[str, Frame]) -> None:
        """While an error is handled: a stream that failed alone is out; of several together, any may be the culprit.

        Their frames are not tried again: some of the streams may have seen them already.
        """
        log.exception("tick failed on %s", ", ".join(batch), extra=fields("tick_failed"))
        if len(batch) > 1:
            self._suspects |= batch.keys()
            return
        (lane_id,) = batch
        self._finish(pipeline)  # the stream may be in flight once more, and fail there as well
        stream = self._streams.get(lane_id)
        if stream is None:
            return
        self._remove(pipeline, lane_id)
        stream.fail("pipeline_error", "the pipeline cannot process this stream; the service's log has the reason")
