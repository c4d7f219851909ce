"""Sink: a broker to connect to. SinkRunner: carries messages to it, through outages and restarts."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from service.ending import end
from service.sinks.address import SinkAddress
from service.tracks.hub import HubClosed, Subscription
from service.tracks.messages import Published

log = logging.getLogger(__name__)

Send = Callable[[Sequence[Published]], Awaitable[None]]
"""Sends messages in order; returns when the broker, or the network, has them."""

QUEUE = 1000
"""Messages kept, of all streams together, while a broker is away; then the oldest drop, told as `gap`."""
BATCH = 50
"""Messages sent together. A broker that is slow, but not so slow as one batch in SEND_TIMEOUT_S, gets them all."""
SEND_TIMEOUT_S = 10.0
RETRY_S = (0.5, 30.0)
"""First and longest wait between attempts to connect: it doubles, and is drawn from 0 up ("full jitter")."""

CLOSING_RETRY_S = 0.1


class Sink(Protocol):
    """One broker. `connect` gives a `Send` for as long as the connection is held; it raises what the library raises."""

    address: SinkAddress

    def connect(self) -> AbstractAsyncContextManager[Send]: ...


class SinkRunner:
    """Takes messages from its subscription to its sink; nobody ever waits for it. Event loop only."""

    def __init__(self, sink: Sink, subscription: Subscription) -> None:
        self.subscription = subscription
        self.connected = False
        self.sent = 0
        self.failures = 0
        """Connections that could not be made, or broke."""
        self.error: str | None = None
        """Why it is not connected."""
        self._sink = sink
        self._unsent: list[Published] = []
        self._closing = asyncio.Event()
        self._random = random.Random()  # noqa: S311 - jitter, no secret
        self._task = asyncio.create_task(self._run(), name=f"sink {self.address.shown}")

    @property
    def address(self) -> SinkAddress:
        """Where it sends to."""
        return self._sink.address

    async def close(self, grace_s: float) -> None:
        """After the hub was closed: send what is queued, for at most `grace_s` seconds, and disconnect."""
        self._closing.set()
        await asyncio.wait({self._task}, timeout=grace_s)
        await end(self._task)
        if left := len(self._unsent) + self.subscription.queued:
            log.warning("sink %s: %d messages could not be sent before the end", self.address.shown, left)

    async def _run(self) -> None:
        first_s, longest_s = RETRY_S
        wait_s = first_s
        while True:
            try:
                async with self._sink.connect() as send:
                    self._report(None)
                    wait_s = first_s
                    await self._carry(send)
            except HubClosed:
                self.connected = False
                return
            except Exception as error:  # each library has its own; none of them ends the sink
                self._report(error)
            await self._pause(self._random.uniform(0, wait_s))
            wait_s = min(2 * wait_s, longest_s)

    async def _pause(self, wait_s: float) -> None:
        """Wait before the next attempt; at the end there is little time left for attempts."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), wait_s)
            await asyncio.sleep(CLOSING_RETRY_S)

    async def _carry(self, send: Send) -> None:
        """Send until the connection breaks; what was under way then is sent again, so it may come twice."""
        while True:
            self._unsent = self._unsent or await self.subscription.get_batch(BATCH)
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await send(self._unsent)
            self.sent += len(self._unsent)
            self._unsent = []

    def _report(self, error: Exception | None) -> None:
        """Note how it is, and log what has changed."""
        before = (self.connected, self.error)
        self.connected = error is None
        self.failures += error is not None
        self.error = None if error is None else self.address.redacted(f"{type(error).__name__}: {error}")
        if (self.connected, self.error) == before:
            return
        if error is None:
            log.info("sink %s is connected", self.address.shown)
        else:
            log.warning("sink %s: %s; trying again", self.address.shown, self.error)
