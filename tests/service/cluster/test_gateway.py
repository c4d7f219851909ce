"""Gateway: what it answers while there is no room, no node or no NATS, and that every other one answers alike."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.cluster.bus import Bus, BusAddress
from service.cluster.command import create_buckets
from service.cluster.control import Control
from service.cluster.counts import LeasedCounts
from service.cluster.gateway import Gateway
from service.cluster.gateway_command import gateway_app
from service.cluster.options import ClusterOptions
from service.settings import Settings
from tests.service.cluster.fake_node import FakeRunner
from tests.service.cluster.harness import MAIN, Loop, add_streams, connected, jetstream_server, url_of
from tests.service.sinks.brokers import Broker
from tests.service.waiting import wait_until

SCENE = "synthetic://?people=1&width=160&height=96&fps=2"
PATIENCE_S = 30.0


@asynccontextmanager
async def front_door(url: str, name: str, state_dir: Path, **settings: str) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway that is connected, and a client of it on this machine."""
    of_gateway = Settings(state_dir=state_dir, **settings)
    gateway = Gateway(of_gateway, ClusterOptions(BusAddress.parse([url], name), "main", name))
    app = gateway_app(of_gateway, gateway)
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http,
    ):
        assert await gateway.bus.wait(PATIENCE_S), gateway.bus.error
        yield http


async def told(http: httpx.AsyncClient, stream_id: str, cause: str) -> dict[str, Any]:
    """A stream's state, once it has this cause."""
    deadline_s = time.monotonic() + PATIENCE_S
    while (state := (await http.get(f"/streams/{stream_id}")).json()["state"])["cause"] != cause:
        assert time.monotonic() < deadline_s, state
        await asyncio.sleep(0.05)
    return dict(state)


@pytest.fixture
def small_node(nats: Broker, bus: Bus) -> Iterator[FakeRunner]:
    """A node that takes one stream."""
    counts = LeasedCounts()
    runner = FakeRunner(counts, capacity=1)
    control = Control(BusAddress.parse([url_of(nats)], "small"), "main", "small", runner, counts)
    control.start()
    yield runner
    control.leave()


def test_there_is_nothing_before_a_node_and_a_stream(bus: Bus, nats: Broker, loop: Loop, tmp_path: Path) -> None:
    async def look() -> None:
        async with front_door(url_of(nats), "one", tmp_path) as http:
            assert (await http.get("/streams")).json()["streams"] == []
            assert (await http.get("/cluster")).json() == {
                "site": "main", "nats": True, "streams": 0, "unplaced": [], "nodes": [],
            }  # fmt: skip

    loop.do(look())


def test_stream_that_no_node_can_take_is_pending_and_says_why(
    bus: Bus, nats: Broker, loop: Loop, tmp_path: Path
) -> None:
    async def look() -> None:
        async with front_door(url_of(nats), "one", tmp_path) as http:
            assert (await http.post("/streams", json={"id": "door", "url": SCENE})).status_code == 201
            assert (await http.get("/streams/door")).json()["state"]["phase"] == "pending"
            state = await told(http, "door", "no_room")
            assert state["phase"] == "pending"
            assert "start one: atttrack node" in state["message"]

    loop.do(look(), 60)


def test_stream_for_which_there_is_no_room_left_is_pending_and_says_how_much_there_is(
    small_node: FakeRunner, bus: Bus, nats: Broker, loop: Loop, tmp_path: Path
) -> None:
    loop.do(add_streams(bus, ["first", "second"]))
    wait_until(lambda: small_node.running, PATIENCE_S, "one to be taken")
    (taken,) = small_node.running
    (other,) = {"first", "second"} - {taken}

    async def look() -> None:
        async with front_door(url_of(nats), "one", tmp_path) as http:
            state = await told(http, other, "no_room")
            assert state["phase"] == "pending"
            assert "1 nodes take 1 streams together, and there are 2" in state["message"]
            assert (await http.get("/cluster")).json()["unplaced"] == [other]

    loop.do(look(), 60)


def test_key_that_one_gateway_gives_and_takes_away_is_known_at_the_others(
    bus: Bus, nats: Broker, loop: Loop, tmp_path: Path
) -> None:
    first = {"Authorization": "Bearer a-long-enough-bootstrap-key-for-tests"}

    async def becomes(http: httpx.AsyncClient, secret: str, status: int) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while (await http.get("/streams", headers={"Authorization": f"Bearer {secret}"})).status_code != status:
            assert time.monotonic() < deadline_s, f"not {status}"
            await asyncio.sleep(0.05)

    async def look() -> None:
        url, settings = url_of(nats), {"api_key": first["Authorization"].removeprefix("Bearer ")}
        async with (
            front_door(url, "one", tmp_path / "one", **settings) as one,
            front_door(url, "two", tmp_path / "two", **settings) as two,
        ):
            assert (await two.get("/streams")).status_code == 401
            made = await one.post("/keys", json={"name": "screen", "scope": "read"}, headers=first)
            assert made.status_code == 201
            await becomes(two, made.json()["key"], 200)
            refused = await two.post("/streams", json={"url": SCENE}, headers=_bearer(made.json()["key"]))
            assert refused.status_code == 403
            assert (await one.delete(f"/keys/{made.json()['name']}", headers=first)).status_code == 204
            await becomes(two, made.json()["key"], 401)

    loop.do(look(), 90)


def _bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def test_while_nats_is_away_nothing_is_changed_and_streams_say_so(loop: Loop, tmp_path: Path) -> None:
    server = jetstream_server(tmp_path)
    server.start()

    async def look() -> None:
        bus = await connected(url_of(server))
        await create_buckets(bus, MAIN, 1)
        await add_streams(bus, ["door"])
        async with front_door(url_of(server), "one", tmp_path / "state") as http:
            assert (await http.get("/readyz")).status_code == 200
            server.stop()
            deadline_s = time.monotonic() + PATIENCE_S
            while (ready := await http.get("/readyz")).status_code != 503:
                assert time.monotonic() < deadline_s
                await asyncio.sleep(0.05)
            assert [one["code"] for one in ready.json()["reasons"]] == ["nats_away"]
            state = (await http.get("/streams")).json()["streams"][0]["state"]
            assert (state["phase"], state["cause"]) == ("degraded", "nats_away")
            for answer in (
                await http.post("/streams", json={"url": SCENE}),
                await http.patch("/streams/door", json={"k": 2}),
                await http.delete("/streams/door"),
            ):
                assert (answer.status_code, answer.json()["code"]) == (503, "nats_away")
                assert int(answer.headers["Retry-After"]) > 0
            server.start()
            while (await http.get("/readyz")).status_code != 200:
                assert time.monotonic() < deadline_s
                await asyncio.sleep(0.05)
            assert (await http.delete("/streams/door")).status_code == 204

    try:
        loop.do(look(), 90)
    finally:
        server.stop()
