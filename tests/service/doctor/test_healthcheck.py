"""python -m service.doctor.healthcheck, which containers run."""

import socket
from pathlib import Path

import pytest

from service.doctor import healthcheck
from tests.service.conftest import RunningService


def test_a_living_service_is_alive(service: RunningService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTTRACK_PORT", str(service.port))
    assert healthcheck.main() == 0


def test_a_service_that_is_not_there_is_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    monkeypatch.setenv("ATTTRACK_PORT", str(free))
    assert healthcheck.main() == 1
    assert "refused" in capsys.readouterr().err


def test_the_address_comes_from_environment_and_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert healthcheck.address() == "http://127.0.0.1:8000/healthz"
    (tmp_path / "atttrack.toml").write_text('port = 9000\ntls_cert = "cert.pem"\n')
    monkeypatch.setenv("ATTTRACK_CONFIG", f"{tmp_path}/atttrack.toml")
    assert healthcheck.address() == "https://127.0.0.1:9000/healthz"
    monkeypatch.setenv("ATTTRACK_PORT", "9001")
    assert healthcheck.address() == "https://127.0.0.1:9001/healthz"
