"""NATS: messages at the subject <prefix>.streams.<id>.tracks; a dot in an id is written %2E."""

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import ConnectionClosedError, NoServersError

from service.sinks.address import SinkAddress
from service.sinks.base import Send
from service.tracks.messages import Published

TIMEOUT_S = 5


class NatsSink:
    """Plain NATS: who is not subscribed misses it, unless a JetStream stream of the server records the subject."""

    def __init__(self, address: SinkAddress) -> None:
        self.address = address

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator[Send]:
        """Messages that wait together go in one round trip."""
        address, closed = self.address, asyncio.Event()
        errors: deque[Exception] = deque(maxlen=1)

        async def on_error(error: Exception) -> None:
            errors.append(error)  # and is not printed, which the library would do

        async def on_closed() -> None:
            closed.set()

        client = Client()
        try:
            await client.connect(
                f"nats://{address.host}:{address.port}",
                user=address.username,
                password=address.password,
                tls=ssl.create_default_context() if address.tls else None,
                connect_timeout=TIMEOUT_S,
                allow_reconnect=False,  # the runner tries again
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                error_cb=on_error,
                closed_cb=on_closed,
                name="atttrack",
            )

            inbox = client.new_inbox()
            echo = await client.subscribe(inbox)

            async def send(messages: Sequence[Published]) -> None:
                for message in messages:
                    stream = message.stream_id.replace(".", "%2E")
                    await client.publish(f"{address.prefix}.streams.{stream}.tracks", message.encoded)
                # By a message to ourselves: the library's `flush` sends its PING ahead of messages that wait.
                await client.publish(inbox, b"")
                await _unless(closed, echo.next_msg(TIMEOUT_S))

            yield send
        except NoServersError as error:
            raise (errors[0] if errors else error) from None
        finally:
            await close_client(client)


async def close_client(client: Client) -> None:
    """Close also what the library leaves open when a connection was refused or broke off."""
    transport = client._transport
    try:
        await client.close()
    finally:
        if transport is not None:
            transport.close()  # type: ignore[no-untyped-call]  # the library's, untyped


async def _unless(closed: asyncio.Event, echo: Coroutine[Any, Any, Msg]) -> None:
    """Wait for `echo`, which does not notice by itself that the connection is gone. Raises ConnectionClosedError."""
    hearing, waiting = asyncio.create_task(echo), asyncio.create_task(closed.wait())
    try:
        await asyncio.wait({hearing, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not hearing.done():
            raise ConnectionClosedError
        hearing.result()
    finally:
        hearing.cancel()
        waiting.cancel()
        await asyncio.gather(hearing, waiting, return_exceptions=True)
