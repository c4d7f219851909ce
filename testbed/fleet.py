"""Parts of a cluster for measuring it: a runner without streams inside, specs all at once, a line that can be cut."""

import asyncio
import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from edge.pipeline.config import LaneSettings
from service.cluster.box import free_port
from service.cluster.bucket import Bucket
from service.cluster.bus import Bus, BusAddress
from service.cluster.options import MAIN
from service.cluster.server_program import find_server, write_settings
from service.cluster.spec_document import SpecDocument
from service.cluster.subjects import SiteSubjects, key
from service.streams.spec import StreamSpec

AT_ONCE = 20


class FakeRunner:
    """Implements `service.cluster.control.StreamRunner`: remembers what it is told to run."""

    lane: ClassVar[LaneSettings] = LaneSettings()

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.running: dict[str, int] = {}
        """Stream -> run."""
        self.adopted: list[tuple[str, int]] = []

    async def adopt(self, spec: StreamSpec, created_at: float, run: int) -> None:
        """Take a stream."""
        self.adopted.append((spec.id, run))
        self.running[spec.id] = run

    async def change(self, spec: StreamSpec) -> None:
        """Nothing changes here."""

    async def release(self, stream_id: str, *, removed: bool) -> None:
        """Leave a stream."""
        self.running.pop(stream_id, None)

    def offer(self) -> dict[str, Any]:
        """As much as it was made for."""
        return {"capacity": self.capacity}


async def add_specs(url: str, specs: Sequence[StreamSpec]) -> None:
    """Write specs as a gateway does, `AT_ONCE` at a time."""
    bus = Bus(BusAddress.parse([url], "adder"))
    running = asyncio.create_task(bus.run())
    await bus.wait(10)
    bucket = Bucket(bus, SiteSubjects(MAIN).bucket)
    for at in range(0, len(specs), AT_ONCE):
        documents = [SpecDocument.of(one, one.url, False, time.time())[0] for one in specs[at : at + AT_ONCE]]
        await asyncio.gather(*(bucket.put(key("spec", one.spec.id), one.to_json(), 0) for one in documents))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@contextlib.contextmanager
def nats_server(folder: Path) -> Iterator[str]:
    """The URL of a nats-server on this machine that runs meanwhile, with its files in `folder`. Raises NoServer."""
    port = free_port()
    conf = write_settings(folder, port, "bench")
    server = subprocess.Popen([find_server(), "-c", str(conf), "-l", str(folder / "nats.log")])
    try:
        yield f"nats://box:bench@127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait(10)


class TcpLine:
    """A TCP line to a port of this machine that can be cut: what is sent then goes nowhere, and nobody is told."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._whole = threading.Event()
        self._whole.set()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Carry nothing more, in either direction."""
        self._whole.clear()

    def mend(self) -> None:
        """Carry on: connections that stood then get what waited."""
        self._whole.set()

    def close(self) -> None:
        """Let nobody in any more; connections that stand end by themselves."""
        self._whole.set()
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)  # wakes who accepts

    def _accept(self) -> None:
        with self._server, contextlib.suppress(OSError):
            while True:
                self._connect(self._server.accept()[0])

    def _connect(self, near: socket.socket) -> None:
        self._whole.wait()
        try:
            far = socket.create_connection(("127.0.0.1", self._to))
        except OSError:
            near.close()
            return
        for one, other in ((near, far), (far, near)):
            threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                self._whole.wait()
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)  # wakes who carries the other way, and closes that end
        one.close()
