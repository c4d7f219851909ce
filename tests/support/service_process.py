"""`python -m service` as a process of its own, for tests that kill it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx

from tests.service.waiting import wait_until

PROJECT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "service"]


def environment() -> dict[str, str]:
    """This process's, without settings of the service."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ATTTRACK_")}


class ServiceProcess:
    """The program, running; constructed once it takes streams."""

    def __init__(self, log: Path, *flags: str) -> None:
        self.log = log
        with log.open("w") as out:
            self.process = subprocess.Popen(
                [*COMMAND, "--port", "0", *flags], stdout=out, stderr=out, cwd=PROJECT, env=environment()
            )
        wait_until(lambda: self.ready or self.process.poll() is not None, 60, "the service to take streams")
        assert self.address, log.read_text()

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
        return httpx.Client(base_url=f"http://{self.address}", timeout=20)

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(20)
