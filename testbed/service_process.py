"""`python -m service` as a process of its own: for tests that kill it, and for benchmarks that watch it."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import httpx

from service import __name__ as SERVICE

PROJECT = Path(__file__).resolve().parents[1]
COMMAND = [sys.executable, "-m", SERVICE]
START_TIMEOUT_S = 60.0


def environment() -> dict[str, str]:
    """This process's, without settings of the service."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ATTTRACK_")}


class ServiceProcess:
    """The program, running; constructed once it takes streams. A context manager that ends it as Ctrl-C would.

    `module`: another program with the service's command line. Raises RuntimeError with its log if it does not start.
    """

    def __init__(self, log: Path, *flags: str, module: str = SERVICE) -> None:
        self.log = log
        command = [sys.executable, "-m", module, "--port", "0", *flags]
        with log.open("w") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, cwd=PROJECT, env=environment())
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not self.ready:
            if self.process.poll() is not None or time.monotonic() > deadline_s:
                self.kill()
                raise RuntimeError(f"the service did not start; its log says:\n{log.read_text()[-2000:]}")
            time.sleep(0.03)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()

    @property
    def ready(self) -> bool:
        """Whether it takes streams."""
        address = self.address
        return address is not None and httpx.get(f"http://{address}/readyz").is_success

    @property
    def address(self) -> str | None:
        """Host and port."""
        found = re.search(r"running on http://([^\s\"]+)", self.log.read_text())
        return found and found[1]

    @property
    def http(self) -> httpx.Client:
        """A client of it."""
        return httpx.Client(base_url=f"http://{self.address}", timeout=60)

    def tracks(self, stream_id: str) -> str:
        """URL of a stream's WebSocket."""
        return f"ws://{self.address}/streams/{stream_id}/tracks"

    def add(self, url: str) -> str:
        """Add a stream; its id."""
        with self.http as http:
            return str(http.post("/streams", json={"url": url}).raise_for_status().json()["id"])

    def remove(self, stream_id: str) -> None:
        """Remove a stream."""
        with self.http as http:
            http.delete(f"/streams/{stream_id}").raise_for_status()

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(20)
