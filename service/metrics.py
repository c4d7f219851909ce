"""Metrics: what Prometheus scrapes. Names end in their unit, counters in _total; a stream's label is its id, never its
URL, and goes when the stream goes.

Counters and histograms are written where things happen; what has a value at any time is read when somebody asks
(`service.streams.gauges`), so that it costs nothing in between.
"""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from edge.pipeline.pipeline import Kind, TrackedFrame
from edge.pipeline.timings import StageTimes
from service.tracks.id_retention import IdRetention

AGE_BUCKETS_S = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)
"""From a wired camera and a GPU to a CPU that falls behind."""
STAGE_BUCKETS_S = (1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class Metrics:
    """All metrics of one service; no two share anything. Any thread, but for `tick`."""

    def __init__(self, version: str) -> None:
        # A fifth of the lines, and nobody asks when a counter began. The library has no types for this one.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._frames = Counter(
            "atttrack_frames", "Frames tracked, by who saw them.", ("stream", "kind"), registry=self.registry
        )
        self._age = Histogram(
            "atttrack_frame_age_seconds",
            "Time from the capture of a frame to its tracks.",
            ("stream", "kind"),
            buckets=AGE_BUCKETS_S,
            registry=self.registry,
        )
        self._refused = Counter(
            "atttrack_looks_refused",
            "Frames that got a lesser look than they deserved, for want of time, by the look that they deserved.",
            ("stream", "kind"),
            registry=self.registry,
        )
        self._reconnects = Counter(
            "atttrack_stream_reconnects",
            "Connections to a camera that broke or could not be made, by cause.",
            ("stream", "code"),
            registry=self.registry,
        )
        self._stage = Histogram(
            "atttrack_stage_seconds",
            "Time that a stage took in one tick; kind: who saw the tick's frames, the teacher, the student, or both.",
            ("stage", "kind"),
            buckets=STAGE_BUCKETS_S,
            registry=self.registry,
        )
        self._stages: dict[tuple[str, str], Histogram] = {}  # looked up once: labels() is slow
        self._before_s: dict[str, float] = {}
        Info("atttrack_build", "The service that answers.", registry=self.registry).info({"version": version})
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)

    def stream(self, stream_id: str) -> "StreamMetrics":
        """Return what a new stream writes to; nothing of it shows before it writes."""
        return StreamMetrics(stream_id, self._frames, self._age, self._reconnects, self._refused)

    def tick(self, times: StageTimes, tracked: list[TrackedFrame]) -> None:
        """Take the stages' times since the last call, and what was tracked meanwhile. Device thread only."""
        kinds = {one.kind for one in tracked}
        kind = kinds.pop() if len(kinds) == 1 else "both"
        for stage, watch in times.stages().items():
            spent_s = watch.seconds - self._before_s.get(stage, 0.0)
            if spent_s > 0:
                self._before_s[stage] = watch.seconds
                if (stage, kind) not in self._stages:
                    self._stages[stage, kind] = self._stage.labels(stage, kind)
                self._stages[stage, kind].observe(spent_s)

    def render(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)


class StreamMetrics:
    """What one stream writes: `frame` on the device thread, `reconnected` and `forget` on any."""

    def __init__(self, stream_id: str, frames: Counter, age: Histogram, reconnects: Counter, refused: Counter) -> None:
        self.id_retention = IdRetention()
        self._stream_id = stream_id
        self._metrics = (frames, age, reconnects, refused)
        self._of_kind: dict[Kind, tuple[Counter, Histogram]] = {}
        self._forgotten = False

    def frame(self, tracked: TrackedFrame, age_s: float) -> None:
        """Count one tracked frame; `age_s`: from its capture to its tracks."""
        frames, age = self._of_kind.get(tracked.kind) or self._bind(tracked.kind)
        frames.inc()
        age.observe(age_s)
        if tracked.wish is not None:
            self._metrics[3].labels(self._stream_id, tracked.wish).inc()
        if tracked.discontinuity:
            self.id_retention.restart()
        self.id_retention.observe(tracked.kind, tracked.tracks.ids.tolist())

    def reconnected(self, code: str) -> None:
        """A connection broke or could not be made, for the reason `code`."""
        if not self._forgotten:  # a reader may outlive its stream by a moment
            self._metrics[2].labels(self._stream_id, code).inc()

    def forget(self) -> None:
        """Remove all that carries the stream's label. The device thread has let go of the stream."""
        self._forgotten = True
        for metric in self._metrics:
            metric.remove_by_labels({"stream": self._stream_id})

    def _bind(self, kind: Kind) -> tuple[Counter, Histogram]:
        frames, age = self._metrics[:2]
        bound = self._of_kind[kind] = (frames.labels(self._stream_id, kind), age.labels(self._stream_id, kind))
        return bound
