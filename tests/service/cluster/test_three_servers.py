"""Three servers with a copy of the bucket each: one dies, two die, one hangs. No stream changes hands for it, and no
client ever sees one go back."""

import json
import re
import signal
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from service.cluster.bucket import Bucket
from service.cluster.bus import Bus, BusAway, WriteRefused
from service.cluster.command import create_buckets
from tests.service.cluster.harness import MAIN, FakeNodes, Loop, Watcher, add_streams, connected
from tests.service.sinks.brokers import Broker, cluster_server, free_port
from tests.service.waiting import wait_until

THREE_CONF = Path(__file__).resolve().parents[3] / "deploy" / "nats" / "three.conf"
NAMES = ("nats1", "nats2", "nats3")
NODES = ("a", "b", "c")
STREAMS = [f"cam.{i}" for i in range(6)]
PATIENCE_S = 120.0
"""An election takes 4 to 13 s where nobody disturbs it."""
GAP_S = 5.0
"""Longest silence of a stream after one server's end: whoever was connected there comes back at another one, in 0.2 s
where the machine has nothing else to do."""


@dataclass
class Server:
    """One of the three."""

    broker: Broker
    monitor: int
    """Port at which it tells of itself."""

    def clients(self) -> set[str]:
        """Names of those who are connected to it; nobody while it is down."""
        if self.broker.process is None:
            return set()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.monitor}/connz", timeout=10) as answer:
            return {one.get("name", "") for one in json.load(answer)["connections"]}


@dataclass
class Site:
    servers: dict[str, Server]
    bus: Bus
    loop: Loop
    nodes: FakeNodes
    watcher: Watcher

    @property
    def bucket(self) -> Bucket:
        return Bucket(self.bus, MAIN.bucket)

    def copies(self) -> dict[str, Any]:
        """Who leads the bucket, and who follows; empty while nobody can tell."""
        try:
            return (self.loop.do(self.bucket.info()) or {}).get("cluster", {})
        except BusAway:
            return {}

    def leader(self) -> str:
        wait_until(lambda: self.copies().get("leader"), PATIENCE_S, "a leader")
        return str(self.copies()["leader"])

    def server_of(self, client: str) -> str:
        """Where this one is connected."""
        found = [name for name, server in self.servers.items() if client in server.clients()]
        assert found, f"{client} is connected nowhere"
        return found[0]

    def writes(self) -> bool:
        """Whether a key can be written now."""
        try:
            return self.loop.do(self.bucket.put("probe", b"")) > 0
        except (BusAway, WriteRefused):
            return False

    def flows(self) -> None:
        """Wait until messages of all streams come from now on."""
        since_s = time.monotonic()
        wait_until(lambda: all(self.watcher.since(one, since_s) for one in STREAMS), PATIENCE_S, "messages of all")

    def rest(self) -> None:
        """Wait until every server has all that is written, and every node as many streams as the others."""

        def rests() -> bool:
            copies = self.copies()
            here = copies.get("leader") and all(one["current"] for one in copies["replicas"])
            shares = Counter(self.watcher.owners().values())
            return bool(here) and set(shares) == set(NODES) and max(shares.values()) == min(shares.values())

        wait_until(rests, PATIENCE_S, "rest")
        self.flows()

    def assert_nothing_moved(self, before: dict[str, Any]) -> None:
        """Leases are as they were, here and at the server, for longer than a node is missed."""
        began_s = time.monotonic()
        wait_until(lambda: time.monotonic() > began_s + 4, PATIENCE_S, "four seconds")
        assert self.watcher.leases() == before
        kept = {one: entry.revision for one, entry in self.loop.do(self.bucket.all("lease.>")).items()}
        assert sorted(kept.values()) == sorted(lease.revision for lease in before.values())
        self.watcher.assert_rising()


def write_conf(folder: Path, ports: list[int], routes: list[int]) -> Path:
    """deploy/nats/three.conf, but for TLS, users, sites, folder and ports."""
    text = THREE_CONF.read_text().replace("include users.conf", "")
    text = re.sub(r"(?ms)^( *)(tls|leafnodes) \{.*?^\1\}\n", "", text)
    text = text.replace("0.0.0.0:4222", f"127.0.0.1:{ports[0]}").replace("0.0.0.0:6222", f"127.0.0.1:{routes[0]}")
    text = text.replace("/data/nats", str(folder)).replace(
        '"nats://nats1:6222", "nats://nats2:6222", "nats://nats3:6222"',
        ", ".join(f'"nats://127.0.0.1:{port}"' for port in routes[1:]),
    )
    path = folder / "server.conf"
    path.write_text(f'{text}\nhttp: "127.0.0.1:{ports[1]}"\n')
    return path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    routes, servers = [free_port() for _ in NAMES], {}
    for name, route in zip(NAMES, routes, strict=True):
        folder, ports = tmp_path_factory.mktemp(name), [free_port(), free_port()]
        conf = write_conf(folder, ports, [route, *routes])
        command = ["env", f"NAME={name}", cluster_server(), "-c", str(conf), "--log", str(folder / "nats.log")]
        servers[name] = Server(Broker(command, ports[0]), ports[1])
        servers[name].broker.start()
    url = ",".join(f"nats://127.0.0.1:{server.broker.port}" for server in servers.values())
    loop = Loop()
    bus = loop.do(connected(url))

    def made() -> bool:
        try:
            loop.do(create_buckets(bus, MAIN, 3), 60)
        except (BusAway, WriteRefused):  # they look for each other still
            return False
        return True

    wait_until(made, PATIENCE_S, "buckets with three copies")
    nodes = FakeNodes(url)
    nodes.start(*NODES)
    watcher = Watcher(url)
    wait_until(lambda: len(watcher.gateway.live()) == len(NODES), PATIENCE_S, "three nodes")
    loop.do(add_streams(bus, STREAMS))
    yield Site(servers, bus, loop, nodes, watcher)
    nodes.stop()
    watcher.stop()
    loop.stop()
    for server in servers.values():
        server.broker.stop()


@pytest.mark.parametrize("whose", ["the bucket", "a node"])
def test_server_that_dies_costs_no_stream_its_owner(site: Site, whose: str) -> None:
    site.rest()
    before = site.watcher.leases()
    dead = site.leader() if whose == "the bucket" else site.server_of("atttrack a")
    died_s = time.monotonic()
    site.servers[dead].broker.stop()
    wait_until(site.writes, PATIENCE_S, "a write")
    site.flows()
    site.assert_nothing_moved(before)
    assert max(site.watcher.gap_s(one, died_s) for one in STREAMS) < GAP_S
    if whose == "a node":
        assert site.server_of("atttrack a") != dead
    site.servers[dead].broker.start()


def test_two_servers_that_die_stop_all_writes_and_no_tracks_until_they_are_back(site: Site) -> None:
    site.rest()
    before = site.watcher.leases()
    dead = sorted(site.servers, key=lambda name: name == site.leader())[1:]
    for name in dead:
        site.servers[name].broker.stop()
    site.flows()
    assert site.loop.do(site.bus.wait(PATIENCE_S))
    assert not site.writes(), "one of three is no majority"
    for name in dead:
        site.servers[name].broker.start()
    wait_until(site.writes, PATIENCE_S, "a write")
    site.flows()
    site.assert_nothing_moved(before)


def test_server_that_hangs_tells_nothing_old_when_it_is_back(site: Site) -> None:
    """Nodes that were connected there may have been missed meanwhile: they notice it as late as they are missed."""
    site.rest()
    before = site.watcher.leases()
    hung = site.servers[site.leader()].broker.process
    hung.send_signal(signal.SIGSTOP)
    try:
        wait_until(site.writes, PATIENCE_S, "a write under another leader")
        site.flows()
    finally:
        hung.send_signal(signal.SIGCONT)
    site.rest()
    assert all(site.watcher.leases()[one].revision >= lease.revision for one, lease in before.items())
    site.watcher.assert_rising()


def test_streams_of_a_killed_node_go_on_elsewhere_while_two_of_three_serve(site: Site) -> None:
    site.rest()
    before = site.watcher.leases()
    lost = [one for one, owner in site.watcher.owners().items() if owner == "a"]
    site.servers[site.leader()].broker.stop()
    site.nodes.processes["a"].kill()
    wait_until(lambda: "a" not in site.watcher.owners().values(), PATIENCE_S, "others to take over")
    site.flows()
    for one, lease in before.items():
        assert (site.watcher.leases()[one].revision > lease.revision) == (one in lost)
    site.watcher.assert_rising()
