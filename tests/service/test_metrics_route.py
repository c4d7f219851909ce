"""/metrics of a running service, as Prometheus reads it."""

import time
from collections.abc import Callable

import httpx
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from websockets.sync.client import connect

from testbed.rtsp_server import RtspServer
from tests.service.conftest import KEY, RunningService
from tests.service.waiting import wait_until

SCENE = "synthetic://?people=3&width=320&height=192&fps=20"


def scrape(http: httpx.Client) -> dict[str, Metric]:
    answer = http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    return {metric.name: metric for metric in text_string_to_metric_families(answer.text)}


def value(metrics: dict[str, Metric], name: str, **labels: str) -> float | None:
    """The one sample with this name and these labels, or None."""
    samples = [sample for metric in metrics.values() for sample in metric.samples if sample.name == name]
    found = [sample.value for sample in samples if sample.labels == labels]
    assert len(found) < 2
    return found[0] if found else None


def test_an_idle_service_is_ready_and_names_every_metric(client: httpx.Client) -> None:
    metrics = scrape(client)
    assert value(metrics, "atttrack_ready") == 1
    assert value(metrics, "atttrack_engine_load_seconds") > 0  # type: ignore[operator]
    assert value(metrics, "process_start_time_seconds") <= time.time()  # type: ignore[operator]
    assert {
        "atttrack_stream_up",
        "atttrack_stream_reconnects",
        "atttrack_frames",
        "atttrack_frames_dropped",
        "atttrack_frame_age_seconds",
        "atttrack_stage_seconds",
        "atttrack_keyframe_interval",
        "atttrack_id_retention_ratio",
        "atttrack_tracks",
        "atttrack_ws_clients",
        "atttrack_ws_dropped",
    } <= set(metrics)


def test_a_stream_shows_under_its_id_and_goes_with_it(client: httpx.Client, service: RunningService) -> None:
    client.post("/streams", json={"url": SCENE, "id": "hall", "k": 4}).raise_for_status()
    wait_until(
        lambda: value(scrape(client), "atttrack_id_retention_ratio", stream="hall") is not None, 20, "two keyframes"
    )
    with connect(service.ws_url("hall")) as socket:
        socket.recv(20)
        metrics = scrape(client)
    assert value(metrics, "atttrack_stream_up", stream="hall") == 1
    assert value(metrics, "atttrack_keyframe_interval", stream="hall") == 4
    assert value(metrics, "atttrack_ws_clients", stream="hall") == 1
    assert value(metrics, "atttrack_ws_dropped_total", stream="hall") == 0
    assert 0 <= value(metrics, "atttrack_id_retention_ratio", stream="hall") <= 1  # type: ignore[operator]
    teacher = value(metrics, "atttrack_frames_total", stream="hall", kind="teacher")
    student = value(metrics, "atttrack_frames_total", stream="hall", kind="student")
    assert teacher >= 2  # type: ignore[operator]
    assert 3 * (teacher - 1) <= student <= 3 * teacher  # type: ignore[operator]  # K = 4
    assert value(metrics, "atttrack_frame_age_seconds_count", stream="hall", kind="teacher") == teacher
    for stage in ("letterbox", "association"):
        assert value(metrics, "atttrack_stage_seconds_count", stage=stage, kind="student")
    client.delete("/streams/hall").raise_for_status()
    assert "hall" not in client.get("/metrics").text


def test_a_camera_that_is_away_is_down_and_its_attempts_are_counted(client: httpx.Client) -> None:
    with RtspServer({}) as server:
        away = server.url("camera")
    client.post("/streams", json={"url": away, "id": "gate"}).raise_for_status()
    name = "atttrack_stream_reconnects_total"
    wait_until(
        lambda: value(scrape(client), name, stream="gate", code="connection_failed"), 20, "an attempt to be counted"
    )
    assert value(scrape(client), "atttrack_stream_up", stream="gate") == 0


def test_nothing_of_an_address_or_a_password_is_in_the_metrics(client: httpx.Client, locked_camera: RtspServer) -> None:
    for number, credentials in enumerate((KEY, KEY | {"password": "wrong horse"})):
        body = {"url": locked_camera.url(), "id": f"door-{number}", "credentials": credentials}
        client.post("/streams", json=body).raise_for_status()
    wait_until(lambda: value(scrape(client), "atttrack_frames_total", stream="door-0", kind="teacher"), 20, "a frame")
    text = client.get("/metrics").text
    for secret in ("horse", "viewer", "rtsp"):
        assert secret not in text


def test_metrics_need_a_key_where_there_are_keys(
    start_service: Callable[..., RunningService],
) -> None:
    key = "k" * 40
    with start_service(api_key=key).http as http:
        assert http.get("/metrics").status_code == 401
        assert http.get("/healthz").status_code == http.get("/readyz").status_code == 200
        assert http.get("/metrics", headers={"Authorization": f"Bearer {key}"}).status_code == 200
