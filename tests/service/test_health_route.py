"""/healthz, /startupz and /readyz: while networks load, afterwards, and after the death of the device thread."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import Event, Thread

import httpx
import pytest
import uvicorn

from edge.sources.decoding import ON_CPU, Decoding
from service.app import build_pipeline, create_app
from service.readiness import StartProgress
from service.runtime import Runtime
from service.server import DrainingServer
from service.settings import Settings
from service.streams.worker import Pipeline
from tests.service.conftest import RunningService
from tests.service.waiting import wait_until


@dataclass
class SlowStart:
    """A service whose networks load when the test says so."""

    settings: Settings
    error: Exception | None = None
    building: Event = field(default_factory=Event)
    go: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        self.runtime = Runtime(self.settings, self._build)
        config = uvicorn.Config(create_app(self.settings, self.runtime), port=0, log_config=None)
        self.server = DrainingServer(config, self.runtime)
        self.thread = Thread(target=self.server.run)
        self.thread.start()
        assert self.building.wait(30), "loading did not begin"
        wait_until(lambda: self.server.started, 30, "the service to listen")
        port = self.server.servers[0].sockets[0].getsockname()[1]
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20)

    def _build(self, progress: StartProgress) -> Pipeline:
        progress("building_engines", "building engines", 0.4)
        self.building.set()
        assert self.go.wait(60)
        if self.error:
            raise self.error
        return build_pipeline(self.settings, progress)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(20)
        self.go.set()
        self.http.close()
        assert not self.thread.is_alive(), "the service did not stop"


@pytest.fixture
def slow_start(models: object) -> Iterator[SlowStart]:
    slow = SlowStart(Settings(models=models, pair="tiny", size="320x192", device="cpu", demo=True))
    yield slow
    slow.stop()


@pytest.mark.parametrize("path", ["/startupz", "/readyz"])
def test_while_engines_are_built_the_service_is_alive_and_says_how_far_it_is(slow_start: SlowStart, path: str) -> None:
    with slow_start.http as http:
        alive, answer = [http.get("/healthz") for _ in range(2)], http.get(path)
    assert [(one.status_code, one.json()) for one in alive] == [(200, {"status": "ok"})] * 2
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json() == {
        "ready": False,
        "reasons": [{"code": "building_engines", "detail": "building engines 40%"}],
    }


def test_while_it_looks_for_a_decoder_the_service_is_alive(models: object, monkeypatch: pytest.MonkeyPatch) -> None:
    looking, found = Event(), Event()

    def look(wanted: str, device: str) -> Decoding:
        looking.set()
        assert found.wait(60)
        return ON_CPU

    monkeypatch.setattr("service.runtime.choose_decoding", look)
    slow = SlowStart(Settings(models=models, pair="tiny", size="320x192", device="cpu"), building=looking)
    try:
        with slow.http as http:
            assert http.get("/healthz").status_code == 200
            assert [one["code"] for one in http.get("/readyz").json()["reasons"]] == ["loading_models"]
            found.set()
            slow.go.set()
            wait_until(lambda: http.get("/readyz").is_success, 30, "the networks to load")
    finally:
        found.set()
        slow.stop()


def test_a_stream_posted_too_early_is_told_when_to_come_again(slow_start: SlowStart) -> None:
    with slow_start.http as http:
        answer = http.post("/streams", json={"url": "synthetic://"})
        assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
        assert answer.json()["detail"] == "building engines 40%"
        assert int(answer.headers["Retry-After"]) > 0
        assert http.get("/streams").json()["streams"] == []
        slow_start.go.set()
        wait_until(lambda: http.get("/readyz").is_success, 30, "the networks to load")
        assert http.get("/startupz").json() == http.get("/readyz").json() == {"ready": True, "reasons": []}
        assert [stream["id"] for stream in http.get("/streams").json()["streams"]] == ["near", "crowd", "fast"]
        assert http.post("/streams", json={"url": "synthetic://"}).status_code == 201


def test_a_service_told_to_stop_does_not_wait_for_its_engines(slow_start: SlowStart) -> None:
    slow_start.server.should_exit = True
    slow_start.thread.join(20)
    assert not slow_start.thread.is_alive()
    assert [reason.code for reason in slow_start.runtime.readiness.reasons] == ["building_engines", "draining"]


def test_a_service_whose_networks_cannot_be_loaded_ends_with_the_reason(models: object) -> None:
    slow = SlowStart(Settings(models=models, pair="tiny", size="320x192", device="cpu"), ValueError("no such network"))
    slow.go.set()
    slow.thread.join(20)
    assert str(slow.runtime.failure) == "no such network"
    slow.stop()


def test_service_without_a_device_thread_is_neither_healthy_nor_ready(
    start_service: Callable[..., RunningService],
) -> None:
    service = start_service()
    with service.http as http:
        assert http.get("/healthz").status_code == 200
        service.runtime.worker.stop()
        answer = http.get("/healthz")
        assert (answer.status_code, answer.json()["code"]) == (503, "worker_stalled")
        answer = http.get("/readyz")
        assert (answer.status_code, answer.json()["reasons"][0]["code"]) == (503, "worker_stalled")
        assert http.get("/startupz").status_code == 200
        answer = http.post("/streams", json={"url": "synthetic://"})
        assert (answer.status_code, answer.json()["code"]) == (503, "shutting_down")


def test_a_draining_service_is_not_ready(start_service: Callable[..., RunningService]) -> None:
    service = start_service()
    with service.http as http:
        assert http.get("/readyz").is_success
        service.runtime.readiness.end("draining", "the service is shutting down")
        answer = http.get("/readyz")
        assert (answer.status_code, answer.json()["reasons"][0]["code"]) == (503, "draining")
