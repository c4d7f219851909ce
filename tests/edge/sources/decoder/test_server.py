"""The server of decoders where the system gives no process, no descriptor, or where it hangs: one camera's trouble."""

import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.sources.base import SourceError
from edge.sources.decoder import process as process_module
from edge.sources.decoder.messages import Job
from edge.sources.decoder.process import DecoderProcess, DecoderServer
from edge.sources.rtsp.camera_url import CameraUrl
from edge.sources.settings import SourceSettings


@pytest.fixture
def job() -> Iterator[Job]:
    """A camera that takes the connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=500) as listener:
        kept = []

        def serve() -> None:
            while True:
                try:
                    kept.append(listener.accept()[0])
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        url = CameraUrl.parse(f"rtsp://127.0.0.1:{listener.getsockname()[1]}/live")
        yield Job(url, SourceSettings(connect_timeout_s=60, stall_timeout_s=60, resolve=Here()))
        listener.shutdown(socket.SHUT_RDWR)
        for one in kept:
            one.close()


class Here:
    def __call__(self, host: str, port: int) -> list[str]:
        return ["127.0.0.1"]


def runs(one: DecoderProcess) -> bool:
    state = Path(f"/proc/{one.pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


def test_forks_that_fail_at_any_moment_are_one_cameras_alone(job: Job) -> None:
    with DecoderServer("tests.support.failing_forks") as server:
        started: list[DecoderProcess] = []
        failed = 0
        for _ in range(150):
            try:
                started.append(DecoderProcess(job, server))
            except SourceError as error:
                assert error.code == "decoder_crashed"
                assert "Error" not in str(error)
                failed += 1
            if len(started) > 8:
                started.pop(3).close(0)
        pid = server.pid
        assert failed > 40
        assert all(runs(one) for one in started)
        assert server.pid == pid
        for one in started:
            one.close(0)


def test_server_without_descriptors_refuses_and_goes_on(job: Job) -> None:
    with DecoderServer() as server:
        healthy = [DecoderProcess(job, server) for _ in range(2)]
        pid = server.pid
        assert pid is not None
        used = max(int(name) for name in os.listdir(f"/proc/{pid}/fd"))
        for room in range(4):
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 1 + room, 4096))
            extra = []
            with pytest.raises(SourceError, match="no decoder could be started"):
                for _ in range(60):
                    extra.append(DecoderProcess(job, server))
            for one in extra:
                one.close(0)
            time.sleep(0.2)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (1024, 4096))
        healthy.append(DecoderProcess(job, server))
        assert server.pid == pid
        assert all(runs(one) for one in healthy)
        for one in healthy:
            one.close(0)


def test_server_that_hangs_is_replaced_and_its_decoders_live_on(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_module, "FORK_TIMEOUT_S", 1.0)
    with DecoderServer() as server:
        healthy = DecoderProcess(job, server)
        hung = server.pid
        assert hung is not None
        os.kill(hung, signal.SIGSTOP)
        with pytest.raises(SourceError, match="another one takes its place"):
            DecoderProcess(job, server)
        other = DecoderProcess(job, server)
        assert server.pid not in (None, hung)
        assert runs(healthy)
        assert runs(other)
        healthy.close(0)
        other.close(0)
    assert not Path(f"/proc/{hung}").exists(), "it goes with the last camera"


def test_server_that_was_killed_is_replaced(job: Job) -> None:
    with DecoderServer() as server:
        first = DecoderProcess(job, server)
        killed = server.pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        time.sleep(0.3)
        second = DecoderProcess(job, server)
        assert server.pid != killed
        assert not runs(first), "nobody is left who could wait for it"
        first.close(0)
        second.close(0)
