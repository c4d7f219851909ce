"""Gauges: what is read from service and streams when Prometheus asks."""

from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.readiness import Readiness
from service.store import Store
from service.streams.registry import StreamRegistry
from service.streams.stream import Stream
from service.streams.worker import Worker
from service.tracks.hub import TrackHub

UP_PHASES = ("running", "degraded")


class Gauges(Collector):
    """Reads on any thread, since many streams take a while; a stream that is gone leaves nothing behind."""

    def __init__(
        self, readiness: Readiness, registry: StreamRegistry, hub: TrackHub, worker: Worker, store: Store
    ) -> None:
        self._readiness = readiness
        self._registry = registry
        self._hub = hub
        self._worker = worker
        self._store = store

    def describe(self) -> Iterable[Metric]:
        """Return nothing: names are only known by collecting, which needs no stream."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield each metric with one sample per stream."""
        yield GaugeMetricFamily(
            "atttrack_ready", "1 while the service takes streams.", value=float(not self._readiness.reasons)
        )
        yield GaugeMetricFamily(
            "atttrack_store_failing", "1 while the state file takes no changes.", value=float(self._store.failing)
        )
        yield CounterMetricFamily(
            "atttrack_store_failures", "Writes that the state file did not take.", value=self._store.failures
        )
        loading = GaugeMetricFamily(
            "atttrack_engine_load_seconds", "Time that loading the networks took at the start; none until it is over."
        )
        if (load_s := self._worker.load_s) is not None:
            loading.add_metric((), load_s)
        yield loading
        yield from self._of_streams(self._registry.all())

    def _of_streams(self, streams: list[Stream]) -> Iterator[Metric]:
        up = GaugeMetricFamily("atttrack_stream_up", "1 while frames of the stream are tracked.", labels=("stream",))
        interval = GaugeMetricFamily(
            "atttrack_keyframe_interval", "The teacher sees every so many frames.", labels=("stream",)
        )
        tracks = GaugeMetricFamily("atttrack_tracks", "People in the newest frame.", labels=("stream",))
        retention = GaugeMetricFamily(
            "atttrack_id_retention_ratio",
            "Share of the ids at one keyframe that are still there at the next, over the last 32 pairs of keyframes.",
            labels=("stream",),
        )
        dropped = CounterMetricFamily(
            "atttrack_frames_dropped",
            "Frames that were never tracked; replaced: a newer one came first.",
            labels=("stream", "reason"),
        )
        clients = GaugeMetricFamily("atttrack_ws_clients", "Subscribers of the stream's tracks.", labels=("stream",))
        lost = CounterMetricFamily(
            "atttrack_ws_dropped", "Messages dropped since a subscriber was slow.", labels=("stream",)
        )
        student = GaugeMetricFamily(
            "atttrack_student", "Of a stream that adapts: its student, 0 for the pair's own.", labels=("stream",)
        )
        sample = GaugeMetricFamily(
            "atttrack_adaptation_sample_bytes", "Pictures kept in memory to learn from.", labels=("stream",)
        )
        rounds = CounterMetricFamily(
            "atttrack_adaptation_rounds",
            "Rounds of live adaptation, by what they came to.",
            labels=("stream", "verdict"),
        )
        for stream in streams:
            view, label = stream.view(), (stream.id,)
            up.add_metric(label, float(view.state.phase in UP_PHASES))
            interval.add_metric(label, stream.settings.k)
            tracks.add_metric(label, view.stats.people)
            if (ratio := stream.metrics.id_retention.ratio) is not None:
                retention.add_metric(label, ratio)
            dropped.add_metric((stream.id, "replaced"), view.stats.dropped)
            clients.add_metric(label, self._hub.subscribers(stream.id))
            lost.add_metric(label, self._hub.lost(stream.id))
            if view.adaptation is not None:
                student.add_metric(label, view.adaptation.student)
                sample.add_metric(label, 1e6 * view.adaptation.sample_mb)
                for verdict, count in view.adaptation.verdicts.items():
                    rounds.add_metric((stream.id, verdict), count)
        return iter((up, interval, tracks, retention, dropped, clients, lost, student, sample, rounds))
