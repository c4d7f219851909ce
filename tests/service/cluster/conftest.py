"""One nats-server for the tests that do not harm it; each makes the site anew."""

from collections.abc import Iterator

import pytest

from service.cluster.bucket import Bucket
from service.cluster.bus import Bus
from service.cluster.command import create_buckets
from service.cluster.subjects import KEYS_BUCKET, TICKETS_BUCKET
from tests.service.cluster.harness import MAIN, Loop, connected, drop, jetstream_server, url_of
from tests.service.sinks.brokers import Broker


@pytest.fixture(scope="session")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    server = jetstream_server(tmp_path_factory.mktemp("nats"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def loop() -> Iterator[Loop]:
    running = Loop()
    yield running
    running.stop()


@pytest.fixture
def bus(nats: Broker, loop: Loop) -> Bus:
    """Connected, with an empty site."""

    async def fresh() -> Bus:
        bus = await connected(url_of(nats))
        for name in (MAIN.bucket, MAIN.secrets, KEYS_BUCKET, TICKETS_BUCKET):
            if await Bucket(bus, name).exists():
                await drop(Bucket(bus, name))
        await create_buckets(bus, MAIN, 1)
        return bus

    return loop.do(fresh())
