"""Failover: nodes die, hang, are cut off and go, a gateway dies, the server dies and comes back, and nobody sees a
stream twice or a count lost."""

import itertools
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from nats.aio.msg import Msg
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from service.cluster.bucket import Bucket
from service.cluster.bus import Bus
from service.cluster.subjects import key, node_of, stream_of
from service.tracks.messages import read_head
from testbed.fleet import TcpLine
from tests.service.cluster.harness import (
    MAIN,
    FakeNodes,
    Loop,
    Watcher,
    add_streams,
    jetstream_server,
    make_site,
    url_of,
)
from tests.service.sinks.brokers import Broker, free_port
from tests.service.waiting import wait_until

STREAMS = [f"cam.{i}" for i in range(8)]
"""With a dot, which is no part of a subject."""
NODES = ("a", "b", "c", "d")
"""Three are told to stop, one after the other; then one is killed, and one hangs and is cut off."""
CUT = "c"
"""The node that hangs, and is cut off."""
PATIENCE_S = 60.0
"""For a machine that is busy otherwise; the times themselves are asserted."""
TAKEOVER_S = 6.0
HANDOVER_S = 2.0


@dataclass
class Site:
    server: Broker
    line: TcpLine
    """The way from one node to the server."""
    bus: Bus
    loop: Loop
    nodes: FakeNodes
    watcher: Watcher

    def streams_of(self, node: str) -> list[str]:
        return [one for one, owner in self.watcher.owners().items() if owner == node]

    def counts(self, stream_id: str) -> int:
        """What the bucket has."""
        entry = self.loop.do(Bucket(self.bus, MAIN.bucket).read(key("counts", stream_id)))
        return int(json.loads(entry.payload or b"{}").get("n", 0))

    def present(self) -> set[str]:
        """Nodes that are heard."""
        return {node_of(life) for life in self.watcher.gateway.live()}

    def taken(self, stream_ids: Collection[str], node: str) -> bool:
        """Whether all of these have another owner than that."""
        return all(self.watcher.owner(one) not in (node, None) for one in stream_ids)

    async def hear(self, node: str) -> list[tuple[float, str, int]]:
        """All that a node publishes from now on, the fence or not: when, stream, run."""
        heard: list[tuple[float, str, int]] = []

        async def take(received: Msg) -> None:
            message, run = read_head(received.data)
            heard.append((time.monotonic(), message.stream_id, run))

        await self.bus.subscribe(MAIN.tracks(node, "*"), take)
        await self.bus.barrier()
        return heard

    def wait_for_rest(self) -> None:
        """All streams have a live owner, shares are even, and messages come."""

        def rests() -> bool:
            shares, present = Counter(self.watcher.owners().values()), self.present()
            if sum(shares.values()) < len(STREAMS) or not set(shares) <= present:
                return False
            return max(shares.values()) - min(shares[one] for one in present) <= 1

        wait_until(rests, PATIENCE_S, "even shares")
        self.wait_for_messages()

    def wait_for_messages(self) -> None:
        """Until all streams come from now on."""
        began_s = time.monotonic()
        wait_until(lambda: all(self.watcher.since(one, began_s) for one in STREAMS), PATIENCE_S, "messages of all")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    server, loop = jetstream_server(tmp_path_factory.mktemp("nats")), Loop()
    server.start()
    line = TcpLine(server.port)
    bus = make_site(loop, url_of(server))
    nodes = FakeNodes(url_of(server), {CUT: f"nats://127.0.0.1:{line.port}"})
    nodes.start(*NODES)
    watcher = Watcher(url_of(server))
    wait_until(lambda: len(watcher.gateway.live()) == len(NODES), PATIENCE_S, "all nodes")
    loop.do(add_streams(bus, STREAMS))
    yield Site(server, line, bus, loop, nodes, watcher)
    line.close()
    nodes.stop()
    watcher.stop()
    loop.stop()
    server.stop()


def test_streams_are_shared_evenly(site: Site) -> None:
    site.wait_for_rest()
    assert sorted(Counter(site.watcher.owners().values()).values()) == [2, 2, 2, 2]


def test_nodes_that_are_stopped_one_after_the_other_lose_no_stream_and_no_count(site: Site) -> None:
    """A rolling upgrade."""
    for name in NODES[:3]:
        site.wait_for_messages()
        streams, process = site.streams_of(name), site.nodes.processes[name]
        told_s = time.monotonic()
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: site.taken(streams, name), PATIENCE_S, "new owners")  # noqa: B023 - waited for at once
        assert process.wait(PATIENCE_S) == 0
        site.wait_for_messages()
        assert site.watcher.silence_s(streams, told_s) < HANDOVER_S
        site.nodes.start(name)
        wait_until(lambda: name in site.present(), PATIENCE_S, f"{name} to be back")  # noqa: B023
    for one in STREAMS:
        counted = [seen.counted for seen in site.watcher.seen[one]]
        assert all(later == before + 1 for before, later in itertools.pairwise(counted)), "exact"
    site.watcher.assert_rising()


def test_streams_of_a_killed_node_go_on_elsewhere_and_others_notice_nothing(site: Site) -> None:
    site.wait_for_rest()
    streams, before = site.streams_of("b"), site.watcher.leases()
    killed_s = time.monotonic()
    site.nodes.processes["b"].kill()
    wait_until(lambda: site.taken(streams, "b"), PATIENCE_S, "a takeover")
    site.wait_for_messages()
    assert site.watcher.silence_s(streams, killed_s) < TAKEOVER_S
    for one in streams:
        assert site.watcher.leases()[one].revision > before[one].revision
    for one in set(STREAMS) - set(streams):
        assert site.watcher.leases()[one] == before[one]
    site.watcher.assert_rising()


def test_server_that_dies_takes_no_stream_from_anybody(site: Site) -> None:
    site.wait_for_rest()
    before, last = site.watcher.leases(), {one: site.watcher.seen[one][-1] for one in STREAMS}
    site.server.stop()
    time.sleep(4)  # longer than a life is missed
    assert [one.code for one in site.watcher.gateway.readiness.reasons] == ["nats_away"]
    site.server.start()
    up_s = time.monotonic()
    site.wait_for_messages()
    assert time.monotonic() - up_s < 10
    time.sleep(1)
    assert site.watcher.leases() == before
    kept = site.loop.do(Bucket(site.bus, MAIN.bucket).all("lease.>"))
    assert {stream_of(one): entry.revision for one, entry in kept.items()} == {
        one: lease.revision for one, lease in before.items()
    }
    for one in STREAMS:
        first = site.watcher.since(one, up_s)[0]
        assert first.run == last[one].run
        assert first.seq > last[one].seq + 20, "it went on meanwhile"
        assert first.gap >= 20, "whoever follows is told"
    site.watcher.assert_rising()


@pytest.mark.parametrize("fault", ["hung", "cut off"])
def test_node_that_is_not_heard_is_deposed_and_nothing_of_it_comes_through_later(site: Site, fault: str) -> None:
    site.wait_for_rest()
    streams, process = site.streams_of(CUT), site.nodes.processes[CUT]
    lost_s = time.monotonic()
    process.send_signal(signal.SIGSTOP) if fault == "hung" else site.line.cut()
    try:
        wait_until(lambda: site.taken(streams, CUT), PATIENCE_S, "a takeover")
        taken = {one: site.watcher.leases()[one].revision for one in streams}
        site.wait_for_messages()
        assert site.watcher.silence_s(streams, lost_s) < TAKEOVER_S
        counts = {one: site.counts(one) for one in streams}
        heard = site.loop.do(site.hear(CUT))
    finally:
        process.send_signal(signal.SIGCONT) if fault == "hung" else site.line.mend()
    back_s = time.monotonic()
    wait_until(lambda: CUT in site.present(), PATIENCE_S, "it to be back")

    def old() -> list[float]:
        """When it still said something of what it has lost."""
        return [at_s for at_s, stream_id, run in list(heard) if stream_id in taken and run < taken[stream_id]]

    wait_until(lambda: time.monotonic() > max([back_s, *old()]) + 2, PATIENCE_S, "two seconds without old messages")
    for one in streams:
        assert site.counts(one) >= counts[one]
        assert all(seen.run >= taken[one] for seen in site.watcher.since(one, back_s))
    site.watcher.assert_rising()


def test_gateway_that_is_killed_costs_the_clients_of_another_one_nothing(site: Site, tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    flags = ["--nats", url_of(site.server), "--name", "second", "--port", address.rpartition(":")[2]]
    command = [sys.executable, "-m", "service", "gateway", *flags, "--state-dir", str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as second:
        try:
            wait_until(lambda: reached(address), PATIENCE_S, "the second gateway")
            with connect(f"ws://{address}/tracks") as socket:
                wanted = set(STREAMS)
                while wanted:
                    wanted.discard(json.loads(socket.recv(PATIENCE_S))["stream_id"])
                killed_s = time.monotonic()
                second.kill()
                with pytest.raises(ConnectionClosed):
                    while True:
                        socket.recv(PATIENCE_S)
        finally:
            second.kill()
    site.wait_for_messages()
    assert max(site.watcher.gap_s(one, killed_s) for one in STREAMS) < TAKEOVER_S


def reached(address: str) -> bool:
    """Whether a gateway has its streams."""
    with suppress(httpx.TransportError):
        return httpx.get(f"http://{address}/readyz").is_success
    return False
