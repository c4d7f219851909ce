"""Sinks against real brokers: everything arrives, outages cost what the queue cannot hold, nobody waits."""

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiomqtt
import pytest
import redis.asyncio
from aiokafka import AIOKafkaConsumer
from nats.aio.client import Client as NatsClient

from service.sinks import base
from service.sinks.address import SinkAddress
from service.sinks.base import SinkRunner
from service.sinks.sinks import Sinks, open_sink
from service.tracks.hub import HubSettings, TrackHub
from service.tracks.messages import Published
from tests.service.sinks.brokers import (
    PASSWORD,
    USER,
    Broker,
    free_port,
    kafka_broker,
    mosquitto,
    nats_server,
    redis_server,
)

Received = Callable[[int], Awaitable[list[dict[str, Any]]]]
"""Waits for so many messages."""


@asynccontextmanager
async def mqtt_reader(broker: Broker) -> AsyncIterator[Received]:
    async with aiomqtt.Client("127.0.0.1", broker.port) as client:
        await client.subscribe("atttrack/streams/door.1/tracks")

        async def receive(count: int) -> list[dict[str, Any]]:
            return [json.loads((await anext(client.messages)).payload) for _ in range(count)]

        yield receive


@asynccontextmanager
async def redis_reader(broker: Broker) -> AsyncIterator[Received]:
    async with redis.asyncio.Redis(port=broker.port) as client:
        last = b"0"

        async def receive(count: int) -> list[dict[str, Any]]:
            nonlocal last
            got: list[dict[str, Any]] = []
            while len(got) < count:
                ((_, entries),) = await client.xread({"atttrack:streams:door.1:tracks": last}, count=1, block=5000)
                last, fields = entries[0]
                got.append(json.loads(fields[b"message"]))
            return got

        yield receive


@asynccontextmanager
async def nats_reader(broker: Broker) -> AsyncIterator[Received]:
    client = NatsClient()
    await client.connect(f"nats://127.0.0.1:{broker.port}", allow_reconnect=False)
    subscription = await client.subscribe("atttrack.streams.door%2E1.tracks")
    await client.flush()

    async def receive(count: int) -> list[dict[str, Any]]:
        return [json.loads((await subscription.next_msg(5)).data) for _ in range(count)]

    yield receive
    await client.close()


@asynccontextmanager
async def kafka_reader(broker: Broker) -> AsyncIterator[Received]:
    server = f"127.0.0.1:{broker.port}"
    client = AIOKafkaConsumer(
        "atttrack.tracks", bootstrap_servers=server, auto_offset_reset="earliest", metadata_max_age_ms=300
    )
    await client.start()

    async def receive(count: int) -> list[dict[str, Any]]:
        got = [await asyncio.wait_for(client.getone(), 20) for _ in range(count)]
        assert {one.key for one in got} <= {b"door.1"}
        return [json.loads(one.value) for one in got]

    try:
        yield receive
    finally:
        await client.stop()


@dataclass(frozen=True)
class Kind:
    """A kind of broker, and how to read from it."""

    scheme: str
    make: Callable[..., Broker]
    reader: Callable[[Broker], Any]
    keeps: bool = False
    """Whether a reader gets what was sent before it came."""


KINDS = [
    Kind("mqtt", mosquitto, mqtt_reader),
    Kind("redis", redis_server, redis_reader, keeps=True),
    Kind("nats", nats_server, nats_reader),
    Kind("kafka", kafka_broker, kafka_reader),
]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.scheme)
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts follow each other quickly."""
    monkeypatch.setattr(base, "RETRY_S", (0.05, 0.1))


def message(seq: int) -> Published:
    body = {"stream_id": "door.1", "seq": seq, "tracks": [], "events": [], "gap": 0}
    return Published("door.1", seq, seq * 0.04, json.dumps(body, separators=(",", ":")).encode())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def run(scene: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scene, 30))


@asynccontextmanager
async def open_sinks(*urls: str) -> AsyncIterator[tuple[TrackHub, Sinks]]:
    hub = TrackHub(asyncio.get_running_loop(), HubSettings())
    sinks = Sinks(hub, urls)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(sinks.close, 1.0)
        stack.callback(hub.close)
        yield hub, sinks


def test_broker_gets_every_message_in_order_and_the_rest_at_the_end(kind: Kind, tmp_path: Path) -> None:
    broker = kind.make(tmp_path)

    async def scene() -> None:
        broker.start()
        async with kind.reader(broker) as receive, open_sinks(f"{kind.scheme}://127.0.0.1:{broker.port}") as (hub, all):
            (runner,) = all.runners
            await until(lambda: runner.connected)
            for seq in range(1, 31):
                hub.publish(message(seq))
            assert await receive(30) == [json.loads(message(seq).encoded) for seq in range(1, 31)]
            for seq in range(31, 301):
                hub.publish(message(seq))
            await asyncio.sleep(0)
            hub.close()
            await all.close(5)
            assert [one["seq"] for one in await receive(270)] == list(range(31, 301))
            (view,) = all.views()
            assert (view.sent, view.queued, view.dropped, view.failures, view.connected) == (300, 0, 0, 0, False)

    try:
        run(scene())
    finally:
        broker.stop()


def test_outage_costs_nothing_that_the_queue_holds(kind: Kind, tmp_path: Path) -> None:
    broker = kind.make(tmp_path)

    async def scene() -> None:
        async with open_sinks(f"{kind.scheme}://127.0.0.1:{broker.port}") as (hub, all):
            (runner,) = all.runners
            await until(lambda: runner.failures > 0)  # it is not there at the start
            broker.start()
            await until(lambda: runner.connected)
            hub.publish(message(1))
            await until(lambda: runner.sent == 1)
            broker.stop()
            while runner.connected:  # a write or two may go into the dead connection before it shows
                hub.publish(message(2))
                await asyncio.sleep(0.02)
            lost = runner.sent
            for seq in range(3, 41):
                hub.publish(message(seq))
            broker.start()
            async with kind.reader(broker) as receive:
                got = [(await receive(1))[0]["seq"]]
                while got[-1] != 40:
                    got.append((await receive(1))[0]["seq"])
            assert runner.error is None
            assert runner.failures >= 2
            assert lost < 50
            if kind.keeps:
                assert [seq for seq in got if seq > 2] == list(range(3, 41))

    try:
        run(scene())
    finally:
        broker.stop()


def test_broker_that_is_away_holds_up_nobody_and_costs_bounded_memory(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.sinks.sinks.QUEUE", 100)

    async def scene() -> None:
        async with open_sinks(f"{kind.scheme}://127.0.0.1:{free_port()}") as (hub, all):
            subscriber = hub.subscribe(["door.1"])
            for seq in range(1, 501):
                hub.publish(message(seq))
                assert (await subscriber.get()).seq == seq
            (view,) = all.views()
            assert view.queued == 100
            assert view.dropped == 400
            assert hub.subscribers("door.1") == 1
            assert hub.lost("door.1") == 0  # a broker is no slow client
            (runner,) = all.runners
            await until(lambda: runner.error is not None)

    run(scene())


class SlowSink:
    """Takes a while for each message, as a broker far away does that acknowledges them one by one."""

    def __init__(self) -> None:
        self.address = SinkAddress.parse("mqtt://far.example?qos=1")
        self.got: list[int] = []

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[base.Send]:
        async def send(messages: Sequence[Published]) -> None:
            for one in messages:
                await asyncio.sleep(0.002)
                self.got.append(one.seq)

        yield send


def test_broker_that_is_slow_gets_all_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "BATCH", 5)
    monkeypatch.setattr(base, "SEND_TIMEOUT_S", 0.5)  # time for a batch, not for all

    async def scene() -> None:
        hub, sink = TrackHub(asyncio.get_running_loop(), HubSettings()), SlowSink()
        runner = SinkRunner(sink, hub.follow(lambda _: True, queue=1000))
        for seq in range(1, 501):
            hub.publish(message(seq))
        await until(lambda: runner.sent == 500)
        assert sink.got == list(range(1, 501))
        assert runner.failures == 0
        hub.close()
        await runner.close(1.0)

    run(scene())


def test_password_is_used_and_never_shown(kind: Kind, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    broker = kind.make(tmp_path, password=True)
    user = "" if kind.scheme == "redis" else USER
    caplog.set_level(logging.DEBUG)

    async def scene() -> None:
        broker.start()
        right = f"{kind.scheme}://{user}:{quote(PASSWORD, safe='')}@127.0.0.1:{broker.port}"
        wrong = f"{kind.scheme}://{user}:{PASSWORD[::-1].replace('?', '')}@127.0.0.1:{broker.port}"
        async with open_sinks(right, wrong) as (hub, all):
            admitted, refused = all.runners
            await until(lambda: admitted.connected and refused.error is not None)
            hub.publish(message(1))
            await until(lambda: admitted.sent == 1)
            assert refused.sent == 0
            shown = f"{caplog.text} {all.views()} {[repr(runner.address) for runner in all.runners]}"
            for secret in (PASSWORD, quote(PASSWORD, safe=""), PASSWORD[::-1].replace("?", "")):
                assert secret not in shown

    try:
        run(scene())
    finally:
        broker.stop()


def test_view_of_the_url_chooses_what_is_sent(tmp_path: Path) -> None:
    broker = redis_server(tmp_path)

    async def scene() -> None:
        broker.start()
        url = f"redis://127.0.0.1:{broker.port}?fields=events&max_rate=5&prefix=site1&db=3&keep=2"
        async with (
            open_sinks(url) as (hub, all),
            redis.asyncio.Redis(port=broker.port, db=3) as client,
        ):
            for seq in range(1, 26):  # a second of them
                hub.publish(message(seq))
            await until(lambda: all.runners[0].sent == 6)
            entries = await client.xrange("site1:streams:door.1:tracks")
            assert set(json.loads(entries[-1][1][b"message"])) == {"stream_id", "seq", "events", "gap"}

    try:
        run(scene())
    finally:
        broker.stop()


VICTIM = """
import asyncio, os, sys
from service.tracks.hub import HubSettings, TrackHub
from service.sinks.sinks import Sinks

async def main():
    sinks = Sinks(TrackHub(asyncio.get_running_loop(), HubSettings()), [sys.argv[1]])
    while not sinks.runners[0].connected:
        await asyncio.sleep(0.01)
    print("connected", flush=True)
    sys.stdin.readline()
    os._exit(9)

asyncio.run(main())
"""


def test_last_will_tells_of_a_service_that_died_and_goodbye_of_one_that_ended(tmp_path: Path) -> None:
    broker = mosquitto(tmp_path)

    async def scene() -> None:
        broker.start()
        url = f"mqtt://127.0.0.1:{broker.port}"
        async with aiomqtt.Client("127.0.0.1", broker.port) as client:

            async def state() -> bytes:
                return (await anext(client.messages)).payload

            await client.subscribe("atttrack/available")
            async with open_sinks(url):
                assert await state() == b"online"
            assert await state() == b"offline"
            command = [sys.executable, "-c", VICTIM, url]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=os.getcwd()) as victim:
                assert victim.stdout is not None
                await asyncio.to_thread(victim.stdout.readline)
                assert await state() == b"online"
                victim.communicate(b"die\n")
            assert await state() == b"offline"
        async with aiomqtt.Client("127.0.0.1", broker.port) as late:
            await late.subscribe("atttrack/available")
            assert (await anext(late.messages)).payload == b"offline"  # retained

    try:
        run(scene())
    finally:
        broker.stop()


def test_end_does_not_wait_longer_than_its_grace_for_a_broker_that_is_away() -> None:
    async def scene() -> None:
        hub = TrackHub(asyncio.get_running_loop(), HubSettings())
        subscription = hub.follow(lambda _: True)
        runner = SinkRunner(open_sink(f"redis://127.0.0.1:{free_port()}"), subscription)
        hub.publish(message(1))
        await until(lambda: runner.failures > 0)
        hub.close()
        await asyncio.wait_for(runner.close(0.2), 5)
        assert subscription.queued == 1

    run(scene())
