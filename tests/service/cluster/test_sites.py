"""Sites: a server of their own behind a leaf, which goes on alone when its line is cut."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.cluster.bus import BusAddress
from service.cluster.command import create_buckets
from service.cluster.control import Control
from service.cluster.counts import LeasedCounts
from service.cluster.gateway import Gateway
from service.cluster.options import ClusterOptions
from service.cluster.subjects import SiteSubjects
from service.settings import Settings
from service.streams.schema import NewStream
from tests.service.cluster.fake_node import FakeRunner
from tests.service.cluster.harness import Loop, connected, url_of
from tests.service.sinks.brokers import Broker, cluster_server, free_port
from tests.service.waiting import wait_until

SITE_CONF = Path(__file__).resolve().parents[3] / "deploy" / "nats" / "site.conf"
HALL = SiteSubjects("hall")


@dataclass
class Hub:
    hub: Broker
    site: Broker


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Hub]:
    """A hub and a site, the site's settings as deploy/nats has them, but for TLS, paths and ports."""
    leaf, hub_port, site_port = free_port(), free_port(), free_port()
    hub_conf, site_conf = tmp_path / "hub.conf", tmp_path / "site.conf"
    hub_conf.write_text(
        f'listen: "127.0.0.1:{hub_port}"\nserver_name: hub\njetstream {{ store_dir: "{tmp_path}/hub" }}\n'
        f'leafnodes {{ listen: "127.0.0.1:{leaf}" }}\n'
    )
    text = SITE_CONF.read_text().replace("$SITE", "hall").replace("/data/nats", str(tmp_path / "site"))
    text = text.replace("127.0.0.1:4222", f"127.0.0.1:{site_port}").replace(
        "tls://hub:7422", f"nats://127.0.0.1:{leaf}"
    )
    before, _, after = text.partition("    tls {")
    site_conf.write_text(before + after.partition("}\n")[2])
    hub = Broker([cluster_server(), "-c", str(hub_conf), "--log", str(tmp_path / "hub.log")], hub_port)
    site = Broker([cluster_server(), "-c", str(site_conf), "--log", str(tmp_path / "site.log")], site_port)
    hub.start()
    site.start()
    yield Hub(hub, site)
    site.stop()
    hub.stop()


def test_hub_adds_to_a_site_which_goes_on_alone(servers: Hub, loop: Loop) -> None:
    counts = LeasedCounts()
    runner = FakeRunner(counts)
    site_address = BusAddress.parse([url_of(servers.site)], "hall-0")
    hub_address = BusAddress.parse([url_of(servers.hub)], "hub-gateway")
    control = Control(site_address, "hall", "hall-0", runner, counts)
    far = Gateway(Settings(), ClusterOptions(hub_address, "hall", "hub-gateway", domain="hall"))
    near_address = BusAddress.parse([url_of(servers.site)], "near")
    near = Gateway(Settings(), ClusterOptions(near_address, "hall", "near"))

    async def begin() -> None:
        at_site, at_hub = await connected(url_of(servers.site)), await connected(url_of(servers.hub))
        await create_buckets(at_site, HALL, 1)
        await create_buckets(at_hub, SiteSubjects("main"), 1)
        for gateway in (near, far):
            await gateway.open()
        for _ in range(400):  # until the leaf is there
            if near.bus.connected and far.bus.connected:
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"{near.bus.error} {far.bus.error}")

    loop.do(begin())
    control.start()
    try:
        loop.do(far.streams.add(NewStream(id="door", url="synthetic://")))
        wait_until(lambda: "door" in runner.running, 30, "the site's node to take it")
        wait_until(lambda: far.streams.owner("door") == "hall-0", 30, "the hub to know")
        servers.hub.stop()
        wait_until(lambda: not far.bus.connected, 30, "the hub's end")
        loop.do(near.streams.add(NewStream(id="gate", url="synthetic://")))
        wait_until(lambda: set(runner.running) == {"door", "gate"}, 30, "the site to go on alone")
        servers.hub.start()
        wait_until(lambda: far.knows("gate"), 30, "the hub to hear of what was done meanwhile")
    finally:
        control.leave()
        for gateway in (near, far):
            loop.do(gateway.drain())
