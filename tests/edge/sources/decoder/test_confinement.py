"""A decoder that has been taken over by its camera: what it can reach, with the rights that it really has."""

import json
import os
import platform
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge.sources.base import SourceError
from edge.sources.decoder import landlock
from edge.sources.decoder.messages import Job, Task
from edge.sources.decoder.process import DecoderProcess, DecoderServer
from edge.sources.rtsp.camera_url import CameraUrl
from edge.sources.settings import SourceSettings
from tests.support.taken_over import attacks, needs

pytestmark = pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="no seccomp table for this one")
NEEDS_LANDLOCK = pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")
FILE_ATTACKS = {name for name in attacks("", 0, "") if "file" in name or "folder" in name}


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("state") / "atttrack.sqlite3"
    path.write_text("the camera's password")
    return path


@pytest.fixture(scope="module")
def camera() -> Iterator[int]:
    """Answers every connection as a camera would begin to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        kept = []

        def serve() -> None:
            while True:
                try:
                    one, _ = listener.accept()
                    one.recv(1000)
                    one.sendall(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n")
                    kept.append(one)
                except OSError:
                    return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        for one in kept:
            one.close()


@pytest.fixture(autouse=True)
def mps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where CUDA's multi-process service would listen."""
    os.mkfifo(tmp_path / "control")
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))


@pytest.fixture
def taken_over(secret: Path, camera: int) -> Iterator[object]:
    """Run a decoder of a task and return what it could do."""
    with socket.create_server(("127.0.0.1", 0)) as victim, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(secret.with_name("socket")))
        unix.listen()

        def run(task: Task) -> dict[str, str]:
            targets = json.dumps([str(secret), victim.getsockname()[1], str(secret.with_name("socket"))])
            url = replace(CameraUrl.parse(f"rtsp://127.0.0.1:{camera}/live"), username=targets, password="")
            settings = SourceSettings(resolve=Here())
            with DecoderServer("tests.support.taken_over") as decoders:
                process = DecoderProcess(Job(url, settings, task), decoders)
                while (message := process.receive(20)) is not None and not isinstance(message, SourceError):
                    pass
                told = process.ring.read_bytes(0, int(str(message)))
                process.close(1)
            return dict(json.loads(told))

        try:
            yield run
        finally:
            secret.with_name("socket").unlink()


class Here:
    def __call__(self, host: str, port: int) -> list[str]:
        return ["127.0.0.1"]


@pytest.mark.parametrize("task", ["cpu", "packets"])
def test_decoder_in_other_hands_reads_no_file_reaches_no_address_and_starts_no_program(
    taken_over, secret: Path, task: Task
) -> None:
    results = taken_over(task)
    assert {name for name in attacks("", 0, "") if results[name] == "done"} == set()
    for name in (
        "make a file in memory and give it a size",
        "map memory that may be run",
        "open a device",
        "talk to the multi-process service",
    ):
        assert results[name] != "done", name
    assert results["start a thread"] == "done"
    assert secret.read_text() == "the camera's password"
    assert sorted(os.listdir(secret.parent)) == [secret.name, "socket"]


@NEEDS_LANDLOCK
@pytest.mark.parametrize("task", ["gpu", "gstreamer"])
def test_beside_a_driver_it_reaches_no_more_and_the_driver_has_what_it_needs(
    taken_over, secret: Path, task: Task
) -> None:
    results = taken_over(task)
    assert {name for name in attacks("", 0, "") if results[name] == "done"} == set()
    assert {name: results[name] for name in needs() if results[name] != "done"} == {}
    assert secret.read_text() == "the camera's password"
