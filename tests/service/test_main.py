"""python -m service as a process: settings, exit codes and the end by a signal."""

import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from edge.pipeline.config import SHIPPED_PAIR
from edge.pipeline.pipeline import TrackingPipeline
from engines.errors import DeviceLostError
from service.__main__ import read_settings, serve
from service.runtime import Runtime
from service.settings import Settings
from service.tracks.messages import TrackMessage
from testbed.service_process import COMMAND, PROJECT, ServiceProcess, environment
from tests.service.test_tracks_route import receive_all


@pytest.fixture
def demo(tmp_path: Path, models: Path) -> Iterator[ServiceProcess]:
    url = "synthetic://?people=3&width=320&height=192&fps=20"
    service = ServiceProcess(
        tmp_path / "log.txt", "--models", str(models), "--pair", "tiny", "--size", "320x192", "--demo", "--cameras", url
    )
    yield service
    service.kill()


def test_help_has_examples_and_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        read_settings(["--help"])
    assert ended.value.code == 0
    help_text = capsys.readouterr().out
    assert "examples:" in help_text
    for flag in ("--host", "--port", "--demo", "--cameras", "--media-dir", "--models", "--device", "--mode"):
        assert flag in help_text


def test_flag_wins_over_environment_and_environment_over_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTTRACK_PORT", "9000")
    monkeypatch.setenv("ATTTRACK_CAMERAS", "rtsp://a/1,rtsp://b/2")
    monkeypatch.setenv("ATTTRACK_K", "3")
    settings = read_settings(["--port", "9001", "--schemes", "rtsp"])
    assert (settings.port, settings.k, settings.host) == (9001, 3, "127.0.0.1")
    assert settings.cameras == ["rtsp://a/1", "rtsp://b/2"]
    assert settings.schemes == ["rtsp"]


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--port", "many"], "port"),
        (["--port", "70000"], "port"),
        (["--media-dir", "/no/such/folder"], "not a directory"),
        (["--size", "big"], "size"),
        (["--schemes", "exec"], "schemes"),
    ],
)
def test_bad_setting_is_told_in_one_line(flags: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        read_settings(flags)
    lines = capsys.readouterr().err.strip().splitlines()
    assert ended.value.code == 2
    assert len(lines) == 1
    assert told in lines[0]


def test_models_that_are_not_there_are_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"{SHIPPED_PAIR}-teacher-576x320.onnx" in startup_error(Settings(models=tmp_path), capsys)


def test_models_that_do_not_fit_are_told_in_one_line(
    tmp_path: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(models=tmp_path, pair="tiny", size="320x192")
    for file in models.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    for given, instead in (("student", "student-plain"), ("teacher", "student")):
        source = models / f"tiny-{instead}-320x192.onnx"
        (tmp_path / f"tiny-{given}-320x192.onnx").write_bytes(source.read_bytes())
        assert "student" in startup_error(settings, capsys)
    (tmp_path / "tiny-teacher-320x192.onnx").write_text("no model")
    assert "tiny-teacher-320x192.onnx" in startup_error(settings, capsys)


def test_start_that_fails_is_told_by_the_exit_code(
    tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_: Runtime) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Runtime, "open", fail)
    with pytest.raises(SystemExit) as ended:
        serve(Settings(models=models, pair="tiny", size="320x192", state_dir=tmp_path))
    assert ended.value.code == 1
    assert "a bug" in caplog.text


def test_port_that_is_taken_is_told_by_the_exit_code(tmp_path: Path, models: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [*COMMAND, "--port", port, "--state-dir", str(tmp_path)]
        command += ["--models", str(models), "--pair", "tiny", "--size", "320x192"]
        ended = subprocess.run(
            command, cwd=PROJECT, env=environment(), capture_output=True, text=True, timeout=60, check=False
        )
    assert ended.returncode == 1
    assert ended.stderr.strip().splitlines()[-1] == (
        f"atttrack: cannot listen on 127.0.0.1:{port}: another program listens there; stop that one, or "
        "choose another --port"
    )
    assert "Traceback" not in ended.stderr


def test_a_gpu_that_is_lost_ends_the_service_so_that_a_new_process_can_have_it(
    tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lose(*_: object) -> None:
        raise DeviceLostError("an illegal address was used (700); start it again")

    monkeypatch.setattr(TrackingPipeline, "submit", lose)
    scene = "synthetic://?people=1&width=320&height=192&fps=20"
    with pytest.raises(SystemExit) as ended:
        serve(Settings(models=models, pair="tiny", size="320x192", state_dir=tmp_path, port=0, cameras=[scene]))
    assert ended.value.code == 5, "no other failure has this number: a supervisor may start it again at once"
    assert (
        capsys.readouterr().err.strip().splitlines()[-1].endswith("an illegal address was used (700); start it again")
    )


def startup_error(settings: Settings, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that the service ends with, in the exit code's company."""
    with pytest.raises(SystemExit) as ended:
        serve(settings)
    lines = capsys.readouterr().err.strip().splitlines()
    assert ended.value.code == 3
    assert len(lines) == 1, lines
    return str(lines[0])


def test_demo_tracks_at_once_and_stops_cleanly_on_sigterm(demo: ServiceProcess) -> None:
    with httpx.Client(base_url=f"http://{demo.address}", timeout=20) as http:
        assert [one["id"] for one in http.get("/streams").json()["streams"]] == ["near", "crowd", "fast", "camera-1"]
        with connect(f"ws://{demo.address}/streams/camera-1/tracks") as tracks:
            first = TrackMessage.model_validate_json(tracks.recv(20))
            demo.process.send_signal(signal.SIGTERM)
            messages, code = receive_all(tracks)
    assert code == 1001
    assert demo.process.wait(20) == 0
    log = demo.log.read_text()
    tracked = int(re.search(r"stream camera-1: (\d+) frames tracked", log)[1])  # type: ignore[index]
    assert [one.seq for one in [first, *messages]] == list(range(first.seq, tracked + 1))  # nothing tracked is lost
    assert "Traceback" not in log
