"""Counters and histograms as they are written."""

import threading
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from edge.arrays import I64
from edge.pipeline.pipeline import Kind, TrackedFrame
from edge.pipeline.timings import StageTimes
from edge.sources.base import Frame
from edge.tracking.detections import Tracks
from service.metrics import Metrics
from service.tracks.id_retention import WINDOW, IdRetention

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(metrics: Metrics) -> Samples:
    """Every sample by its name and labels."""
    families = text_string_to_metric_families(metrics.render().decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def of_stream(metrics: Metrics, stream_id: str) -> Samples:
    return {key: value for key, value in samples(metrics).items() if ("stream", stream_id) in key[1]}


def tracked(kind: Kind, ids: I64 | None = None, *, discontinuity: bool = False) -> TrackedFrame:
    tracks = Tracks.empty()
    if ids is not None:
        tracks = Tracks(**{name: np.zeros((len(ids), *value.shape[1:]), value.dtype) for name, value in fields(tracks)})
        tracks.ids[:] = ids
    frame = Frame(np.zeros((4, 4, 3), np.uint8), 0, 0.0, 0.0, "host")
    return TrackedFrame("a", frame, tracks, kind, 0, discontinuity=discontinuity)


def fields(tracks: Tracks) -> list[tuple[str, np.ndarray]]:  # type: ignore[type-arg]
    values = [(name, getattr(tracks, name)) for name in tracks.__dataclass_fields__]
    return [(name, value) for name, value in values if isinstance(value, np.ndarray) and name != "remembered"]


def test_before_any_stream_there_are_process_metrics_and_none_of_streams() -> None:
    found = samples(Metrics("1.2.3"))
    names = {name for name, _ in found}
    assert {"process_resident_memory_bytes", "process_open_fds", "python_info"} <= names
    assert found["atttrack_build_info", (("version", "1.2.3"),)] == 1
    assert not [key for key in found if "stream" in dict(key[1])]


def test_frames_and_their_age_are_counted_by_kind() -> None:
    metrics = Metrics("0")
    stream = metrics.stream("a")
    for kind, age_s in (("teacher", 0.04), ("student", 0.02), ("student", 0.06)):
        stream.frame(tracked(kind), age_s)  # type: ignore[arg-type]
    found = samples(metrics)
    student = (("kind", "student"), ("stream", "a"))
    assert found["atttrack_frames_total", student] == 2
    assert found["atttrack_frames_total", (("kind", "teacher"), ("stream", "a"))] == 1
    assert found["atttrack_frame_age_seconds_count", student] == 2
    assert found["atttrack_frame_age_seconds_sum", student] == pytest.approx(0.08)
    assert found["atttrack_frame_age_seconds_bucket", (("kind", "student"), ("le", "0.05"), ("stream", "a"))] == 1


def test_a_forgotten_stream_leaves_nothing_behind_and_touches_no_other() -> None:
    metrics = Metrics("0")
    first, second = metrics.stream("a"), metrics.stream("b")
    for stream in (first, second):
        stream.frame(tracked("teacher"), 0.1)
        stream.reconnected("timeout")
    before = of_stream(metrics, "b")
    first.forget()
    first.reconnected("timeout")  # its reader was slow to end
    assert of_stream(metrics, "a") == {}
    assert of_stream(metrics, "b") == before != {}
    metrics.stream("a").frame(tracked("teacher"), 0.1)  # the same id again begins at nothing
    assert of_stream(metrics, "a")["atttrack_frames_total", (("kind", "teacher"), ("stream", "a"))] == 1


def test_a_stream_that_never_wrote_does_not_show() -> None:
    metrics = Metrics("0")
    metrics.stream("a").forget()
    assert of_stream(metrics, "a") == {}


def test_stages_are_told_per_tick_and_kind() -> None:
    metrics, times = Metrics("0"), StageTimes()
    metrics.tick(times, [])
    times.teacher.seconds += 0.25
    metrics.tick(times, [tracked("teacher")])
    times.teacher.seconds += 0.5
    times.student.seconds += 0.125
    metrics.tick(times, [tracked("teacher"), tracked("student")])
    metrics.tick(times, [tracked("student")])  # nothing ran since
    found = {key: value for key, value in samples(metrics).items() if key[0] == "atttrack_stage_seconds_sum"}
    assert {(dict(labels)["stage"], dict(labels)["kind"]): value for (_, labels), value in found.items()} == {
        ("teacher", "teacher"): 0.25,
        ("teacher", "both"): 0.5,
        ("student", "both"): 0.125,
    }


def test_two_services_in_a_process_share_nothing() -> None:
    first, second = Metrics("0"), Metrics("0")
    first.stream("a").frame(tracked("teacher"), 0.1)
    assert of_stream(second, "a") == {}


def test_threads_lose_no_count() -> None:
    metrics = Metrics("0")
    streams = [metrics.stream(name) for name in "ab"]

    def count() -> None:
        for _ in range(500):
            for stream in streams:
                stream.reconnected("timeout")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = {value for (name, _), value in samples(metrics).items() if name == "atttrack_stream_reconnects_total"}
    assert counts == {2000}


def test_id_retention_needs_two_keyframes_and_people() -> None:
    retention = IdRetention()
    assert retention.ratio is None
    retention.observe("teacher", [])
    retention.observe("teacher", [1, 2])
    retention.observe("student", [])
    assert retention.ratio is None
    retention.observe("teacher", [2, 3])
    assert retention.ratio == 0.5


def test_id_retention_compares_nothing_across_a_reconnect() -> None:
    metrics = Metrics("0")
    stream = metrics.stream("a")
    stream.frame(tracked("teacher", np.array([1, 2])), 0.1)
    stream.frame(tracked("teacher", np.array([7, 8]), discontinuity=True), 0.1)
    assert stream.id_retention.ratio is None
    stream.frame(tracked("teacher", np.array([7, 8])), 0.1)
    assert stream.id_retention.ratio == 1.0


@given(st.lists(st.sets(st.integers(0, 9)), min_size=2, max_size=WINDOW))
def test_id_retention_is_the_share_of_ids_that_live_on(keyframes: list[set[int]]) -> None:
    retention = IdRetention()
    for ids in keyframes:
        retention.observe("teacher", ids)
        retention.observe("student", set())
    total = sum(len(ids) for ids in keyframes[:-1])
    kept = sum(id_ in later for ids, later in pairwise(keyframes) for id_ in ids)
    assert retention.ratio == (kept / total if total else None)
