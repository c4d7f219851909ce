"""Failover: nodes die, hang and go, the server dies and comes back, and nobody sees a stream twice or a count lost."""

import itertools
import json
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from service.cluster.bucket import Bucket
from service.cluster.bus import Bus
from service.cluster.subjects import key
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
from tests.service.sinks.brokers import Broker
from tests.service.waiting import wait_until

STREAMS = [f"cam.{i}" for i in range(8)]
"""With a dot, which is no part of a subject."""
NODES = ("a", "b", "c", "d")
"""One for each end that it takes: told to stop, killed, hung; the last one stays."""
PATIENCE_S = 30.0
"""For a machine that is busy otherwise; the times themselves are asserted."""
TAKEOVER_S = 6.0


@dataclass
class Site:
    server: Broker
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

    def wait_for_rest(self) -> None:
        """All streams have a live owner, shares are even, and messages come."""

        def rests() -> bool:
            shares = Counter(self.watcher.owners().values())
            present = {name for name, process in self.nodes.processes.items() if process.poll() is None}
            return set(shares) <= present and max(shares.values()) - min(shares[one] for one in present) <= 1

        wait_until(rests, PATIENCE_S, "even shares")
        began_s = time.monotonic()
        wait_until(lambda: all(self.watcher.since(one, began_s) for one in STREAMS), PATIENCE_S, "messages of all")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    server, loop = jetstream_server(tmp_path_factory.mktemp("nats")), Loop()
    server.start()
    bus = make_site(loop, url_of(server))
    loop.do(add_streams(bus, STREAMS))
    nodes = FakeNodes(url_of(server))
    nodes.start(*NODES)
    watcher = Watcher(url_of(server))
    yield Site(server, bus, loop, nodes, watcher)
    nodes.stop()
    watcher.stop()
    loop.stop()
    server.stop()


def test_streams_are_shared_evenly(site: Site) -> None:
    site.wait_for_rest()
    assert sorted(Counter(site.watcher.owners().values()).values()) == [2, 2, 2, 2]


def test_node_that_is_told_to_stop_gives_its_streams_back_with_their_counts(site: Site) -> None:
    site.wait_for_rest()
    streams, process = site.streams_of("a"), site.nodes.processes["a"]
    told_s = time.monotonic()
    process.send_signal(signal.SIGTERM)
    wait_until(lambda: all(site.watcher.owner(one) not in ("a", None) for one in streams), PATIENCE_S, "a new owner")
    assert process.wait(10) == 0
    for one in streams:
        last_s = time.monotonic()
        wait_until(lambda one=one, since_s=last_s: site.watcher.since(one, since_s), PATIENCE_S, "messages")
        assert site.watcher.gap_s(one, told_s) < 2
        counted = [seen.counted for seen in site.watcher.seen[one]]
        assert all(later == before + 1 for before, later in itertools.pairwise(counted)), "exact"


def test_streams_of_a_killed_node_go_on_elsewhere_and_others_notice_nothing(site: Site) -> None:
    site.wait_for_rest()
    streams, before = site.streams_of("b"), site.watcher.leases()
    killed_s = time.monotonic()
    site.nodes.processes["b"].kill()
    for one in streams:
        wait_until(lambda one=one: site.watcher.owner(one) in ("c", "d"), PATIENCE_S, "a takeover")
        taken_s = time.monotonic()
        wait_until(lambda one=one, since_s=taken_s: site.watcher.since(one, since_s), PATIENCE_S, "messages")
        assert site.watcher.gap_s(one, killed_s) < TAKEOVER_S
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
    wait_until(lambda: all(site.watcher.since(one, up_s) for one in STREAMS), PATIENCE_S, "messages")
    assert time.monotonic() - up_s < 5
    time.sleep(1)
    assert site.watcher.leases() == before
    for one in STREAMS:
        first = site.watcher.since(one, up_s)[0]
        assert first.run == last[one].run
        assert first.seq > last[one].seq + 20, "it went on meanwhile"
        assert first.gap >= 20, "whoever follows is told"
    site.watcher.assert_rising()


def test_hung_node_is_deposed_and_nothing_of_it_comes_through_later(site: Site) -> None:
    site.wait_for_rest()
    streams, process = site.streams_of("c"), site.nodes.processes["c"]
    process.send_signal(signal.SIGSTOP)
    try:
        wait_until(lambda: all(site.watcher.owner(one) == "d" for one in streams), PATIENCE_S, "a takeover")
        taken = {one: site.watcher.leases()[one].revision for one in streams}
        counts = {one: site.counts(one) for one in streams}
    finally:
        process.send_signal(signal.SIGCONT)
    back_s = time.monotonic()
    wait_until(lambda: time.monotonic() > back_s + 2, 5, "two seconds")
    for one in streams:
        assert site.counts(one) >= counts[one]
        assert all(seen.run >= taken[one] for seen in site.watcher.since(one, back_s))
    site.watcher.assert_rising()
