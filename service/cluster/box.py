"""`atttrack box`: every GPU of this machine behind one front door, with a nats-server of its own."""

import argparse
import asyncio
import ctypes
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from service.cluster.bus import Bus, BusAddress
from service.cluster.command import create_buckets
from service.cluster.options import MAIN
from service.cluster.server_program import NoServer, find_server, write_settings
from service.cluster.subjects import SiteSubjects
from service.configuration import PROGRAM, read_settings
from service.ending import end
from service.logs import configure_logs, fields
from service.settings import Settings

log = logging.getLogger(__name__)

DONE, FAILED = 0, 1
GPUS = Path("/proc/driver/nvidia/gpus")
"""One folder for each GPU that the driver shows to this machine, or container."""
WATCH_S = 0.1
RESTART_S = (0.2, 10.0)
"""First and longest wait before a program that died is started again; it doubles unless it ran for a minute."""
STEADY_S = 60.0
END_S = 15.0
"""How long programs may take to end in good order."""
SERVER_S = 10.0
DIE_WITH_PARENT = 1
"""Linux' PR_SET_PDEATHSIG."""
EXAMPLES = """\
examples:
  atttrack box                       a node for each GPU of this machine, one address for all
  atttrack box --nodes 2 --demo      two nodes on the CPU
  atttrack box --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem

All settings of `atttrack serve` may follow. What is kept lies in the folder `cluster` of --state-dir.
"""


@dataclass
class Child:
    """A program that is started again when it dies."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    wait_s: float = RESTART_S[0]
    again_s: float = field(default=0.0)

    def start(self) -> None:
        """Start it; it ends with this program, however that ends."""
        self.process = subprocess.Popen(  # noqa: S603
            self.command, env=dict(self.environment), preexec_fn=_die_with_parent, start_new_session=True
        )
        self.started_s = time.monotonic()

    def look(self) -> None:
        """Start it again, if it is dead and its time has come."""
        now = time.monotonic()
        if self.process is not None and self.process.poll() is not None:
            if now - self.started_s > STEADY_S:
                self.wait_s = RESTART_S[0]
            message = "%s ended with code %d; starting it again in %.1f s"
            extra = fields("child_died", child=self.name)
            log.warning(message, self.name, self.process.returncode, self.wait_s, extra=extra)
            self.process, self.again_s = None, now + self.wait_s
            self.wait_s = min(2 * self.wait_s, RESTART_S[1])
        if self.process is None and now >= self.again_s:
            self.start()

    def stop(self, deadline_s: float) -> None:
        """Tell it to end, and wait for that."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(max(0.0, deadline_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def main(arguments: Sequence[str]) -> int:
    """Run the box until it is told to stop; return the exit code."""
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM} box",
        description="Every GPU of this machine behind one front door.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--nodes", type=int, metavar="N", help="so many nodes (default: one for each GPU, at least one)"
    )
    given, flags = parser.parse_known_args(arguments)
    settings = read_settings(flags)
    try:
        server = find_server()
    except NoServer as missing:
        print(f"{PROGRAM} box: {missing}", file=sys.stderr)
        return FAILED
    configure_logs(settings.log_level, settings.log_format)
    ending = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: ending.set())
    with tempfile.TemporaryDirectory(prefix="atttrack-box-") as passing:
        folder = settings.store_path.parent / "cluster" if settings.store_path else Path(passing)
        return _run(server, folder, settings, devices(given.nodes), flags, ending)


def _run(
    server: str,
    folder: Path,
    settings: Settings,
    devices: Sequence[str | None],
    flags: list[str],
    ending: threading.Event,
) -> int:
    port, password = free_port(), secrets.token_urlsafe(24)
    url = f"nats://box:{password}@127.0.0.1:{port}"
    environment = {**os.environ, "ATTTRACK_NATS": url}
    conf = write_settings(folder, port, password)
    nats = Child("nats-server", [server, "--config", str(conf), "--log", str(folder / "nats.log")], os.environ)
    nats.start()
    try:
        asyncio.run(make_buckets(url))
    except RuntimeError as error:
        nats.stop(time.monotonic() + 1)
        print(f"{PROGRAM} box: {error}", file=sys.stderr)
        return FAILED
    service = [sys.executable, "-m", "service"]
    nodes = [_node(service, number, device, flags, environment) for number, device in enumerate(devices)]
    gateway = Child("gateway", [*service, "gateway", "--name", "gateway", *flags], environment)
    children = [nats, *nodes, gateway]
    for child in children[1:]:
        child.start()
    log.info("%d nodes at %s:%d", len(nodes), settings.host, settings.port, extra=fields("box_started"))
    while not ending.wait(WATCH_S):
        for child in children:
            child.look()
    for child in children[1:]:
        if child.process is not None and child.process.poll() is None:
            child.process.terminate()
    deadline_s = time.monotonic() + END_S
    for child in (*children[1:], nats):  # the server last: nodes leave their counts there
        child.stop(deadline_s)
    return DONE


def _node(
    service: list[str], number: int, device: str | None, flags: list[str], environment: Mapping[str, str]
) -> Child:
    """A node for one GPU, or for the CPU; its own port is on loopback and free, whatever the front door's is."""
    name = f"node-{number}"
    own = {} if device is None else {"CUDA_VISIBLE_DEVICES": device}
    command = [*service, "node", "--name", name, *flags, "--host", "127.0.0.1", "--port", "0"]
    return Child(name, command, {**environment, **own})


def devices(nodes: int | None) -> list[str | None]:
    """One entry for each node: the GPU that it shall see, None for none of its own."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        chosen = ",".join(map(str, range(len(list(GPUS.glob("*")))))) if GPUS.is_dir() else ""
    gpus: list[str | None] = [one for one in chosen.split(",") if one]
    if nodes is None:
        return gpus or [None]
    return [gpus[number % len(gpus)] if gpus else None for number in range(max(1, nodes))]


async def make_buckets(url: str) -> None:
    """Make the buckets of the first site at a server that has just begun. Raises RuntimeError."""
    bus = Bus(BusAddress.parse([url], "box"))
    running = asyncio.create_task(bus.run())
    try:
        if not await bus.wait(SERVER_S):
            raise RuntimeError(f"the nats-server that was started does not answer: {bus.error}")
        await create_buckets(bus, SiteSubjects(MAIN), 1)
    finally:
        await end(running)


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGTERM)
