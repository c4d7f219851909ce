"""`atttrack box` with two nodes and the tiny pair, for tests that ask it what they ask a service alone."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.service.sinks.brokers import cluster_server, free_port
from tests.service.waiting import wait_until

START_S = 120.0


@dataclass
class Box:
    """Looks like `tests.service.conftest.RunningService`, and is five processes."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def http(self) -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)

    def ws_url(self, stream_id: str) -> str:
        return f"ws://127.0.0.1:{self.port}/streams/{stream_id}/tracks"

    def nodes(self) -> dict[str, list[str]]:
        """Node -> its streams."""
        with self.http as http:
            try:
                answer = http.get("/cluster")
            except httpx.TransportError:
                return {}
        return {one["name"]: one["streams"] for one in answer.json()["nodes"]} if answer.status_code == 200 else {}

    def pid_of(self, name: str) -> int | None:
        """The process of a program of the box, as `node-0`; None while it does not run."""
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = (folder / "cmdline").read_bytes().decode().split("\0")
                parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
                if name in (*words, Path(words[0]).name) and int(parent) == self.process.pid:
                    return int(folder.name)
        return None


@contextmanager
def running_box(models: Path, media: Path, folder: Path) -> Iterator[Box]:
    """A box that is there with both nodes, and ends in good order, with no traceback in its log."""
    cluster_server()
    port = free_port()
    command = [
        *(sys.executable, "-m", "service", "box", "--nodes", "2", "--port", str(port), "--models", str(models)),
        *("--pair", "tiny", "--size", "320x192", "--device", "cpu", "--allow-loopback", "--media-dir", str(media)),
        *("-k", "4", "--state-dir", str(folder / "state")),
    ]
    log = (folder / "box.log").open("wb")
    process = subprocess.Popen(command, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"})
    box = Box(process, port)
    try:
        wait_until(lambda: len(box.nodes()) == 2, START_S, "two nodes behind the gateway")
        yield box
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait(10)
        log.close()
    text = Path(log.name).read_text()
    assert "Traceback" not in text, text[-3000:]
