"""Redis Streams: messages in the field `message` of the stream <prefix>:streams:<id>:tracks."""

import contextlib
from collections.abc import AsyncIterator, Sequence

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from service.sinks.address import SinkAddress
from service.sinks.base import Send
from service.tracks.messages import Published

TIMEOUT_S = 5.0
KEEP = 1000
"""Entries that Redis keeps of each stream, about."""


class RedisSink:
    """`?db=2` chooses a database, `?keep=10000` how many entries are kept of each stream."""

    def __init__(self, address: SinkAddress) -> None:
        """Raises ValueError for options that make no sense."""
        self.address = address
        self._db = address.number("db", default=0, most=2**31)
        self._keep = address.number("keep", default=KEEP, most=10**9)

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator[Send]:
        """Messages that wait together go in one round trip."""
        address = self.address
        async with Redis(
            host=address.host,
            port=address.port,
            db=self._db,
            username=address.username or None,
            password=address.password,
            ssl=address.tls,
            socket_connect_timeout=TIMEOUT_S,
            socket_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),  # the runner tries again
        ) as redis:
            await redis.ping()

            async def send(messages: Sequence[Published]) -> None:
                async with redis.pipeline(transaction=False) as pipeline:
                    for message in messages:
                        key = f"{address.prefix}:streams:{message.stream_id}:tracks"
                        pipeline.xadd(key, {"message": message.encoded}, maxlen=self._keep, approximate=True)
                    await pipeline.execute()

            yield send
