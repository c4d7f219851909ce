"""/healthz while the device thread lives, and after its death."""

from collections.abc import Callable

from tests.service.conftest import RunningService


def test_service_without_a_device_thread_is_not_healthy(start_service: Callable[..., RunningService]) -> None:
    service = start_service()
    with service.http as http:
        assert http.get("/healthz").status_code == 200
        service.runtime.worker.stop()
        answer = http.get("/healthz")
        assert (answer.status_code, answer.json()["code"]) == (503, "worker_stalled")
        answer = http.post("/streams", json={"url": "synthetic://"})
        assert (answer.status_code, answer.json()["code"]) == (503, "shutting_down")
