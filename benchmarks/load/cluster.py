"""A cluster on this machine, and what its clients see when parts of it die, hang, are cut off or are upgraded.

    atttrack bench cluster

Everything is real but the networks, which a crowd stands for: nats-server, three nodes, a gateway, a client of all
streams at one URL. Then twenty nodes without streams' insides share a thousand. Exit code 1 when something is too slow.
"""

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from benchmarks.command import command, one_line
from benchmarks.conditions import RESULTS, conditions, save_verdict
from benchmarks.load.usage import cpu_s
from service.cluster.box import free_port, make_buckets
from service.cluster.bus import BusAddress
from service.cluster.control import Control
from service.cluster.counts import LeasedCounts
from service.cluster.server_program import find_server, write_settings
from service.streams.schema import NewStream
from service.streams.spec import StreamSpec
from testbed.fleet import FakeRunner, TcpLine, add_specs, nats_server
from testbed.service_process import ServiceProcess

NODES = ("a", "b", "c")
STREAMS = 6
SCENE = "synthetic://?people=2&width=160&height=96&fps=5&seed={}"
PATIENCE_S = 90.0
LIMITS = {
    "killed_gap_s": 5.0,
    "stopped_gap_s": 2.0,
    "upgrade_gap_s": 2.0,
    "gateway_share_of_a_frame": 0.03,
    "placed_1000_s": 10.0,
    "taken_over_s": 5.0,
    "shares_differ": 1,
    "fell_back": 0,
    "owners_changed_by_outage": 0,
    "streams_run_twice": 0,
}


class Fleet:
    """nats-server, nodes and a gateway as programs, and a client that follows all streams."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.nats_port = folder, free_port(), free_port()
        self.conf = write_settings(folder / "nats", self.nats_port, "bench")
        self.programs: dict[str, subprocess.Popen[bytes]] = {}
        self.seen: dict[str, list[tuple[float, int, int]]] = defaultdict(list)
        self.line = TcpLine(self.nats_port)
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=20)
        self.start_server()
        asyncio.run(make_buckets(self.url()))

    def url(self, port: int | None = None) -> str:
        return f"nats://box:bench@127.0.0.1:{port or self.nats_port}"

    def start(self, name: str, *arguments: str, nats_port: int | None = None) -> None:
        environment = {**os.environ, "ATTTRACK_NATS": self.url(nats_port), "OMP_NUM_THREADS": "1"}
        with (self.folder / f"{name}.log").open("ab") as log:
            self.programs[name] = subprocess.Popen([*arguments], env=environment, stdout=log, stderr=log)

    def start_server(self) -> None:
        self.start("nats", find_server(), "-c", str(self.conf))

    def start_node(self, name: str) -> None:
        port = self.line.port if name == NODES[-1] else None
        self.start(name, sys.executable, "-m", "testbed.crowd_node", "--name", name, nats_port=port)

    def follow(self) -> None:
        while True:
            with (
                suppress(OSError, ConnectionClosed),
                connect(f"ws://127.0.0.1:{self.port}/tracks?fields=run") as socket,
            ):
                for text in socket:
                    body = json.loads(text)
                    self.seen[body["stream_id"]].append((time.monotonic(), int(body["run"], 16), body["seq"]))
            time.sleep(0.1)

    def owners(self) -> dict[str, str]:
        nodes = self.http.get("/cluster").json().get("nodes", ())
        return {stream: node["name"] for node in nodes for stream in node["streams"]}

    def rest(self) -> None:
        """Wait until shares are even among the nodes that run, and all streams come."""

        def rests() -> bool:
            alive = {name for name in NODES if name in self.programs and self.programs[name].poll() is None}
            shares = Counter(self.owners().values())
            even = max(shares[one] for one in alive) - min(shares[one] for one in alive) <= 1
            return sum(shares[one] for one in alive) == STREAMS and even

        until(rests, "even shares")
        began_s = time.monotonic()
        until(lambda: all(self.gap_s(one, began_s) < 2 for one in self.seen), "all streams")
        time.sleep(2)

    def gap_s(self, stream: str, since_s: float) -> float:
        times = [since_s, *(at for at, _, _ in self.seen[stream] if at >= since_s), time.monotonic()]
        return max(b - a for a, b in itertools.pairwise(times))

    def gap_after(self, act: Callable[[], object], streams: Sequence[str], hurt: str) -> float:
        """Longest silence of `streams` after `act`, until others than `hurt` have them and they come again."""
        began_s = time.monotonic()
        act()
        until(lambda: all(self.owners().get(one, hurt) != hurt for one in streams), "others to take over")
        until(lambda: all(self.seen[one][-1][0] > began_s + 1 for one in streams), "their tracks")
        time.sleep(1)
        return round(max(self.gap_s(one, began_s) for one in streams), 2)

    def fell_back(self) -> int:
        """Messages that were not newer than the one before, of all streams."""
        pairs = [(one[1:], other[1:]) for seen in self.seen.values() for one, other in itertools.pairwise(seen)]
        return sum(other <= one for one, other in pairs)

    def of(self, node: str) -> list[str]:
        return [stream for stream, owner in self.owners().items() if owner == node]

    def end(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        self.programs[name].send_signal(how)
        self.programs[name].wait(30)


def until(condition: Callable[[], bool], what: str) -> None:
    """Ask again and again."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        with suppress(httpx.TransportError):
            if condition():
                return
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"waited {PATIENCE_S:g} s in vain for {what}")
        time.sleep(0.05)


@contextmanager
def fleet(store: Path | None) -> Iterator[Fleet]:
    """All of it, running and followed."""
    with tempfile.TemporaryDirectory(dir=store) as folder:
        found = Fleet(Path(folder))
        try:
            for name in NODES:
                found.start_node(name)
            found.start("gateway", sys.executable, "-m", "service", "gateway", "--port", str(found.port))
            until(lambda: len(found.http.get("/cluster").json().get("nodes", ())) == len(NODES), "nodes")
            until(lambda: found.http.get("/readyz").is_success, "the gateway")
            for number in range(STREAMS):
                found.http.post("/streams", json={"id": f"s{number}", "url": SCENE.format(number)}).raise_for_status()
            threading.Thread(target=found.follow, daemon=True).start()
            until(lambda: len(found.seen) == STREAMS, "tracks of all streams")
            found.rest()
            yield found
        finally:
            for program in found.programs.values():
                program.kill()
                program.wait(10)


def disturbed(store: Path | None) -> dict[str, Any]:
    """What a client saw while parts died, hung, were cut off and were upgraded."""
    found: dict[str, Any] = {}
    with fleet(store) as site:
        found["killed_gap_s"] = site.gap_after(lambda: site.end("a"), site.of("a"), "a")
        site.start_node("a")
        site.rest()
        frozen, streams = site.programs["b"], site.of("b")
        found["frozen_gap_s"] = site.gap_after(lambda: frozen.send_signal(signal.SIGSTOP), streams, "b")
        frozen.send_signal(signal.SIGCONT)
        site.rest()
        found["cut_off_gap_s"] = site.gap_after(site.line.cut, site.of("c"), "c")
        site.line.mend()
        site.rest()
        before = site.owners()
        site.end("nats")
        away_s = time.monotonic()
        time.sleep(10)
        site.start_server()
        until(lambda: all(seen[-1][0] > away_s + 10 for seen in site.seen.values()), "tracks after the outage")
        found["after_outage_s"] = round(time.monotonic() - away_s - 10, 2)
        time.sleep(5)
        found["owners_changed_by_outage"] = sum(site.owners().get(one) != owner for one, owner in before.items())
        site.rest()
        gaps = []
        for name in NODES:
            gaps.append(site.gap_after(partial(site.end, name, signal.SIGTERM), site.of(name), name))
            site.start_node(name)
            site.rest()
        found["stopped_gap_s"], found["upgrade_gap_s"] = gaps[0], max(gaps)
        found["fell_back"] = site.fell_back()
        found |= costs(site)
    return found


def costs(site: Fleet, seconds: float = 20.0) -> dict[str, Any]:
    """CPU time of the gateway for a message, beside that of a node with the shipped networks for a frame."""
    flags = ["--state-dir", str(site.folder / "alone"), "--device", "cpu"]
    with ServiceProcess(site.folder / "alone.log", *flags) as service, service.http as alone:
        alone.post("/streams", json={"id": "s", "url": "synthetic://?people=8&width=640&height=360&fps=3&seed=1"})
        until(lambda: alone.get("/streams/s").json()["stats"]["frames"] > 5, "frames")
        real, gateway = service.process.pid, site.programs["gateway"].pid
        frames = -int(alone.get("/streams/s").json()["stats"]["frames"])
        messages, used, gateway_used = -sum(map(len, site.seen.values())), -cpu_s(real), -cpu_s(gateway)
        time.sleep(seconds)
        frames += int(alone.get("/streams/s").json()["stats"]["frames"])
        messages += sum(map(len, site.seen.values()))
        frame_ms = 1e3 * (used + cpu_s(real)) / frames
        message_ms = 1e3 * (gateway_used + cpu_s(gateway)) / messages
    return {
        "frame_cpu_ms": round(frame_ms, 2),
        "gateway_message_cpu_ms": round(message_ms, 3),
        "messages_a_s": round(messages / seconds, 1),
        "gateway_share_of_a_frame": round(message_ms / frame_ms, 4),
    }


def crowded(streams: int, nodes: int, store: Path | None) -> dict[str, Any]:
    """How fast many streams are placed on many nodes, and taken over from one that is gone without a word."""
    with tempfile.TemporaryDirectory(dir=store) as folder, nats_server(Path(folder)) as url:
        asyncio.run(make_buckets(url))
        runners = [FakeRunner(capacity=streams) for _ in range(nodes)]
        controls = [
            Control(BusAddress.parse([url], f"n{number}"), "main", f"n{number}", one, LeasedCounts())
            for number, one in enumerate(runners)
        ]
        for control in controls:
            control.start()
        time.sleep(6)  # everybody has heard everybody
        specs = [
            StreamSpec.from_request(NewStream(id=f"s{n}", url="synthetic://"), FakeRunner.lane) for n in range(streams)
        ]
        asyncio.run(add_specs(url, specs))
        posted_s = time.monotonic()
        until(lambda: sum(len(one.running) for one in runners) >= streams, "all to be placed")
        placed_s = time.monotonic() - posted_s
        twice = sum(count > 1 for count in Counter(one for runner in runners for one in runner.running).values())
        twice += sum(count > 1 for count in Counter(one for runner in runners for one in runner.adopted).values())
        until(lambda: max(len(one.running) for one in runners) - min(len(one.running) for one in runners) <= 1, "rest")
        shares = [len(one.running) for one in runners]
        lost = set(runners[0].running)
        controls[0].die()
        died_s = time.monotonic()
        until(lambda: lost <= {one for runner in runners[1:] for one in runner.running}, "a takeover")
        taken_s = time.monotonic() - died_s
        for control in controls[1:]:
            control.die()
    return {
        "placed_1000_s": round(placed_s, 2),
        "taken_over_s": round(taken_s, 2),
        "shares_differ": max(shares) - min(shares),
        "streams_run_twice": twice,
    }


@one_line("cluster")
def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, save, and return 1 where a limit is exceeded."""
    parser = command("cluster", __doc__)
    parser.add_argument("--streams", type=int, default=1000, help="shared by the nodes without insides")
    parser.add_argument("--nodes", type=int, default=20, help="of those")
    parser.add_argument(
        "--store", type=Path, help="where the server keeps its files (default: where temporary files go)"
    )
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for cluster.json")
    options = parser.parse_args(arguments)
    found = {**crowded(options.streams, options.nodes, options.store), **disturbed(options.store)}
    slow = [name for name, most in LIMITS.items() if found[name] > most]
    result = {"conditions": conditions(), "limits": LIMITS, "streams": STREAMS, "nodes": len(NODES)}
    result["crowd"] = {"streams": options.streams, "nodes": options.nodes}
    return save_verdict("cluster", result, {**found, "failures": slow}, options.output)


if __name__ == "__main__":
    sys.exit(main())
