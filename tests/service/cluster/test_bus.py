"""Bus: it comes back by itself, and what was said meanwhile is never said later."""

import asyncio
from collections.abc import Iterator

import pytest

from service.cluster.bus import Bus, BusAddress, BusAway
from tests.service.cluster.harness import Loop, connected, jetstream_server, url_of
from tests.service.sinks.brokers import Broker, free_port
from tests.service.waiting import wait_until


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    server = jetstream_server(tmp_path_factory.mktemp("nats"))
    server.start()
    yield server
    server.stop()


def test_nobody_there_is_said_and_not_waited_for(loop: Loop) -> None:
    async def try_it() -> None:
        bus = Bus(BusAddress.parse([f"nats://127.0.0.1:{free_port()}"], "test"))
        running = asyncio.create_task(bus.run())
        assert not await bus.wait(0.3)
        with pytest.raises(BusAway):
            await bus.publish("a", b"")
        running.cancel()

    loop.do(try_it())


def test_what_is_published_while_away_never_arrives(server: Broker, loop: Loop) -> None:
    heard: list[bytes] = []

    async def hear(message: object) -> None:
        heard.append(message.data)

    async def begin(bus: Bus) -> None:
        await bus.subscribe("words", hear)

    async def open_bus() -> Bus:
        bus = Bus(BusAddress.parse([url_of(server)], "test"), begin=begin)
        bus.running = asyncio.create_task(bus.run())
        assert await bus.wait(30)
        return bus

    bus = loop.do(open_bus())
    loop.do(bus.publish("words", b"before"))
    loop.do(bus.barrier())
    server.stop()
    wait_until(lambda: not bus.connected, 10, "the loss")
    for _ in range(20):
        with pytest.raises(BusAway):
            loop.do(bus.publish("words", b"meanwhile"))
    server.start()
    assert loop.do(bus.wait(30))
    loop.do(bus.publish("words", b"after"))
    wait_until(lambda: b"after" in heard, 10, "the last word")
    assert heard == [b"before", b"after"]


def test_barrier_comes_after_what_was_said_before(nats: Broker, loop: Loop) -> None:
    async def try_it() -> None:
        hearer, speaker = await connected(url_of(nats), "hearer"), await connected(url_of(nats), "speaker")
        for number in range(60):
            heard = asyncio.Event()

            async def hear(_: object, heard: asyncio.Event = heard) -> None:
                heard.set()

            await hearer.subscribe(f"barrier.{number}", hear)
            await hearer.barrier()
            await speaker.publish(f"barrier.{number}", b"")
            await asyncio.wait_for(heard.wait(), 10)

    loop.do(try_it(), 60)


@pytest.mark.parametrize("url", ["", "http://127.0.0.1", "nats://", "nats://user:secret@host:no"])
def test_address_that_cannot_be_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError) as refused:
        BusAddress.parse([url] if url else [], "test")
    assert "secret" not in str(refused.value)


def test_password_shows_nowhere() -> None:
    address = BusAddress.parse(["nats://user:se%40cret@host"], "hall-1")
    assert (address.user, address.password, address.servers) == ("user", "se@cret", ("nats://host:4222",))
    assert "se@cret" not in repr(address)
    assert address.inbox == "_INBOX_hall-1"
