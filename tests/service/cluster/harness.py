"""A nats-server, fake nodes as processes, and a gateway's inside that watches them."""

import asyncio
import itertools
import json
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from edge.pipeline.config import LaneSettings
from service.cluster.bucket import Bucket
from service.cluster.bus import Bus, BusAddress
from service.cluster.command import create_buckets
from service.cluster.gateway import Gateway
from service.cluster.options import ClusterOptions
from service.cluster.spec_document import SpecDocument
from service.cluster.subjects import SiteSubjects, key
from service.ending import end
from service.settings import Settings
from service.streams.spec import StreamSpec
from service.tracks.hub import HubClosed
from tests.service.sinks.brokers import Broker, cluster_server, free_port

Result = TypeVar("Result")
FAKE_NODE = Path(__file__).with_name("fake_node.py")
MAIN = SiteSubjects("main")
AT_ONCE = 20


def jetstream_server(folder: Path, *more: str) -> Broker:
    port = free_port()
    command = [cluster_server(), "--addr", "127.0.0.1", "--port", str(port), "--jetstream"]
    return Broker([*command, "--store_dir", str(folder), "--log", str(folder / "nats.log"), *more], port)


def url_of(server: Broker) -> str:
    return f"nats://127.0.0.1:{server.port}"


class Loop:
    """An event loop on a thread, for tests that are not asynchronous themselves."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def do(self, act: Coroutine[Any, Any, Result], timeout_s: float = 60) -> Result:
        return asyncio.run_coroutine_threadsafe(act, self.loop).result(timeout_s)

    def stop(self) -> None:
        self.do(self._end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.close()

    async def _end(self) -> None:
        await end(*(asyncio.all_tasks() - {asyncio.current_task()}))


async def connected(url: str, name: str = "test", **options: Any) -> Bus:
    bus = Bus(BusAddress.parse(url.split(","), name, **options))
    bus.running = asyncio.create_task(bus.run())
    assert await bus.wait(30), bus.error
    return bus


async def drop(bucket: Bucket) -> None:
    """Delete a bucket and all that is in it, as an operator's mistake does."""
    await bucket.bus.api(f"$JS.API.STREAM.DELETE.KV_{bucket.name}", timeout_s=10)


async def add_streams(bus: Bus, stream_ids: list[str]) -> None:
    """Write specs as a gateway does, some at once: a busy machine answers so many in time."""
    bucket = Bucket(bus, MAIN.bucket)

    async def add(stream_id: str) -> None:
        spec = StreamSpec(id=stream_id, name=stream_id, url="synthetic://", lane=LaneSettings())
        document, _ = SpecDocument.of(spec, spec.url, False, time.time())
        await bucket.put(key("spec", stream_id), document.to_json(), 0)

    for at in range(0, len(stream_ids), AT_ONCE):
        await asyncio.gather(*(add(one) for one in stream_ids[at : at + AT_ONCE]))


@dataclass
class Seen:
    """One message as a client had it."""

    at_s: float
    run: int
    seq: int
    counted: int
    gap: int


class Watcher:
    """A gateway without HTTP that follows all streams."""

    def __init__(self, url: str) -> None:
        """`url`: of the server, or of several with commas between."""
        self.loop = Loop()
        self.seen: dict[str, list[Seen]] = defaultdict(list)
        address = BusAddress.parse(url.split(","), "gateway")
        self.gateway = Gateway(Settings(), ClusterOptions(address, "main", "gateway"))
        self.loop.do(self._open())

    async def _open(self) -> None:
        gateway = self.gateway
        await gateway.open()
        assert await gateway.bus.wait(30), gateway.bus.error
        self._wanting = gateway.follower.wanting(None)
        self._wanting.__enter__()
        await gateway.follower.subscribe(None)
        self._following = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        subscription = self.gateway.hub.follow(lambda stream_id: True, queue=100_000)
        while True:
            try:
                body = json.loads((await subscription.get()).encoded)
            except HubClosed:
                self.gateway.hub.unsubscribe(subscription)
                return
            seen = Seen(time.monotonic(), int(body["run"], 16), body["seq"], body["frame_id"], body["gap"])
            self.seen[body["stream_id"]].append(seen)

    def owner(self, stream_id: str) -> str | None:
        return self.gateway.streams.owner(stream_id)

    def owners(self) -> dict[str, str | None]:
        return {one: self.owner(one) for one in self.gateway.table.stream_ids()}

    def leases(self) -> dict[str, Any]:
        return dict(self.gateway.table.leases())

    def since(self, stream_id: str, at_s: float) -> list[Seen]:
        return [one for one in self.seen[stream_id] if one.at_s >= at_s]

    def gap_s(self, stream_id: str, since_s: float) -> float:
        """Longest time without a message since then, that until now included."""
        times = [since_s, *(one.at_s for one in self.since(stream_id, since_s)), time.monotonic()]
        return max(b - a for a, b in itertools.pairwise(times))

    def silence_s(self, stream_ids: Collection[str], since_s: float) -> float:
        """Longest time without a message of these streams, beyond that of all others: so much is not the machine's."""
        gaps = {stream_id: self.gap_s(stream_id, since_s) for stream_id in self.gateway.table.stream_ids()}
        return max(gaps[one] for one in stream_ids) - max(gaps[one] for one in gaps.keys() - {*stream_ids})

    def assert_rising(self) -> None:
        for stream_id, seen in self.seen.items():
            for one, other in itertools.pairwise(seen):
                assert (one.run, one.seq) < (other.run, other.seq), stream_id

    def stop(self) -> None:
        self.loop.do(self.gateway.drain())
        self.loop.stop()


@dataclass
class FakeNodes:
    """Fake nodes as processes."""

    url: str
    lines: dict[str, str] = field(default_factory=dict)
    """Node -> URL, for those that have one of their own."""
    processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def start(self, *names: str) -> None:
        """Start them, those again that have ended."""
        for name in names:
            if name in self.processes:
                self.processes[name].stdout.close()
            command = [sys.executable, str(FAKE_NODE), self.lines.get(name, self.url), name]
            self.processes[name] = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for name in names:
            assert self.processes[name].stdout.readline() == "started\n"

    def stop(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait(10)
            process.stdout.close()


def make_site(loop: Loop, url: str) -> Bus:
    async def make() -> Bus:
        bus = await connected(url)
        await create_buckets(bus, MAIN, 1)
        return bus

    return loop.do(make())
