"""NATS: messages at the subject <prefix>.streams.<id>.tracks; a dot in an id is written %2E."""

import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence

import nats

from service.messages import Published
from service.sinks.address import SinkAddress
from service.sinks.base import Send

TIMEOUT_S = 5


class NatsSink:
    """Plain NATS: who is not subscribed misses it, unless a JetStream stream of the server records the subject."""

    def __init__(self, address: SinkAddress) -> None:
        self.address = address

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator[Send]:
        """Messages that wait together go in one round trip."""
        address = self.address
        client = await nats.connect(
            f"nats://{address.host}:{address.port}",
            user=address.username,
            password=address.password,
            tls=ssl.create_default_context() if address.tls else None,
            connect_timeout=TIMEOUT_S,
            allow_reconnect=False,  # the runner tries again
            error_cb=_ignore,
            name="atttrack",
        )

        async def send(messages: Sequence[Published]) -> None:
            for message in messages:
                stream = message.stream_id.replace(".", "%2E")
                await client.publish(f"{address.prefix}.streams.{stream}.tracks", message.encoded)
            await client.flush(TIMEOUT_S)

        try:
            yield send
        finally:
            await client.close()


async def _ignore(_: Exception) -> None:
    """Errors reach the runner by `send`; the library would print them too."""
