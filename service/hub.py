"""TrackHub: the door from the device thread into the event loop, with a bounded queue per subscriber."""

import asyncio
import contextlib
from collections import defaultdict, deque

from service.messages import with_gap


class HubClosed(Exception):
    """Nothing more will come. `code` is the WebSocket close code to send."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Subscription:
    """One subscriber's queue; drops the oldest message when full and tells how many. Event loop only."""

    def __init__(self, size: int) -> None:
        self._queue: deque[bytes] = deque()
        self._size = size
        self._gap = 0
        self._wake = asyncio.Event()
        self._closed: HubClosed | None = None

    def put(self, encoded: bytes) -> None:
        """Add a message; never waits."""
        if len(self._queue) == self._size:
            self._queue.popleft()
            self._gap += 1
        self._queue.append(encoded)
        self._wake.set()

    def close(self, closed: HubClosed) -> None:
        """Let `get` hand out what is queued and then raise `closed`."""
        self._closed = self._closed or closed
        self._wake.set()

    async def get(self) -> bytes:
        """Wait for the next message. Raises HubClosed after the last one."""
        while not self._queue:
            if self._closed is not None:
                raise self._closed
            self._wake.clear()
            await self._wake.wait()
        gap, self._gap = self._gap, 0
        return with_gap(self._queue.popleft(), gap)


class TrackHub:
    """Fans encoded messages out to subscribers. `publish`, `wanted` and `close_stream` may be called on any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, queue_size: int) -> None:
        self._loop = loop
        self._queue_size = queue_size
        self._subscriptions: defaultdict[str, set[Subscription]] = defaultdict(set)
        self._closed: HubClosed | None = None
        self._empty = asyncio.Event()

    def subscribe(self, stream_id: str) -> Subscription:
        """Return a new queue that gets every message of the stream from now on. Event loop only."""
        subscription = Subscription(self._queue_size)
        if self._closed is not None:
            subscription.close(self._closed)
        self._subscriptions[stream_id].add(subscription)
        return subscription

    def unsubscribe(self, stream_id: str, subscription: Subscription) -> None:
        """Forget a queue; unknown ones are ignored. Event loop only."""
        self._subscriptions[stream_id].discard(subscription)
        if not self._subscriptions[stream_id]:
            del self._subscriptions[stream_id]
        if not self._subscriptions:
            self._empty.set()

    def subscribers(self, stream_id: str) -> int:
        """Number of subscribers; a message that nobody wants need not be encoded."""
        return len(self._subscriptions.get(stream_id, ()))

    def publish(self, stream_id: str, encoded: bytes) -> None:
        """Hand a message to all subscribers of the stream, in order of the calls."""
        self._loop.call_soon_threadsafe(self._deliver, stream_id, encoded)

    def close_stream(self, stream_id: str) -> None:
        """End the subscriptions of a removed stream, after what was published before."""
        self._loop.call_soon_threadsafe(self._close, stream_id, HubClosed(1000, "stream removed"))

    def close(self) -> None:
        """End all subscriptions, after what was published before: the service goes away. Event loop only."""
        self._closed = HubClosed(1001, "service is shutting down")
        for stream_id in list(self._subscriptions):
            self._close(stream_id, self._closed)

    async def drained(self, grace_s: float) -> None:
        """After `close`: wait until every subscriber took what was queued for it, at most `grace_s` seconds."""
        if self._subscriptions:
            self._empty.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), grace_s)

    def _deliver(self, stream_id: str, encoded: bytes) -> None:
        for subscription in self._subscriptions.get(stream_id, ()):
            subscription.put(encoded)

    def _close(self, stream_id: str, closed: HubClosed) -> None:
        for subscription in self._subscriptions.get(stream_id, ()):
            subscription.close(closed)
