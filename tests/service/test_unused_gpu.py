"""A machine whose GPU is not used says so, in log and list, and names the command that mends it."""

import logging
from collections.abc import Callable

import pytest

from tests.service.conftest import RunningService


@pytest.mark.parametrize(
    ("device", "gpu", "told"),
    [
        ("auto", "an NVIDIA GPU (0000:01:00.0)", True),
        ("cpu", "an NVIDIA GPU (0000:01:00.0)", False),
        ("auto", None, False),
    ],
)
def test_a_gpu_that_is_not_used_is_told_of_unless_the_cpu_was_wanted(
    device: str,
    gpu: str | None,
    told: bool,
    start_service: Callable[..., RunningService],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("service.runtime.built_in", lambda: gpu)
    with caplog.at_level(logging.WARNING):
        service = start_service(device=device)
    with service.http as http:
        notice = http.get("/streams").json()["notice"]
    assert (notice is not None) == told
    if told:
        assert notice.startswith("this machine has an NVIDIA GPU (0000:01:00.0), but the networks run on the CPU")
        assert "make up" in notice and notice in caplog.messages
