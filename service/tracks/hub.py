"""TrackHub: the door from the device thread into the event loop, with a bounded queue per subscriber."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from service.tracks.history import History, Replay
from service.tracks.messages import Published
from service.tracks.views import EVERYTHING, View, Viewer


class HubClosed(Exception):
    """Nothing more will come. `code` is the WebSocket close code to send."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class HubSettings:
    """What is kept, and for how long."""

    queue: int = 64
    """Messages kept for a slow subscriber before its oldest drops."""
    history: int = 1000
    """Newest messages kept of each stream."""
    history_bytes: int = 8_000_000
    """Of these, no more than so many bytes of each stream."""


class Subscription:
    """One subscriber's queue; drops the oldest message when full and tells how many. Event loop only."""

    def __init__(self, size: int, view: View = EVERYTHING, *, counted: bool = True) -> None:
        self.view = view
        self.counted = counted
        """Whether this is one of the stream's subscribers, rather than a part of the service."""
        self.dropped = 0
        """Messages lost in all."""
        self._queue: deque[Published] = deque()
        self._size = size
        self._gaps: dict[str, int] = {}
        self._replay: Replay | None = None
        self._wake = asyncio.Event()
        self._closed: HubClosed | None = None

    @property
    def queued(self) -> int:
        """Messages that wait."""
        return len(self._queue)

    def resume(self, replay: Replay) -> None:
        """Hand out `replay` first; what is put meanwhile is in its history too."""
        self._replay = replay

    def put(self, message: Published) -> bool:
        """Add a message, without waiting; return whether another one was lost for it."""
        self._wake.set()
        if self._replay is not None:
            return False
        full = len(self._queue) == self._size
        if full:
            self._lose(self._queue.popleft().stream_id, 1)
        self._queue.append(message)
        return full

    def close(self, closed: HubClosed) -> None:
        """Let `get` hand out what is queued and then raise `closed`."""
        self._closed = self._closed or closed
        self._wake.set()

    async def get(self) -> Published:
        """Wait for the next message, which tells how many of its stream were lost before it.

        Raises HubClosed after the last one.
        """
        while (message := self._next()) is None:
            if self._closed is not None:
                raise self._closed
            self._wake.clear()
            await self._wake.wait()
        return message

    async def get_batch(self, most: int) -> list[Published]:
        """Wait for the next message and return up to `most` that are there. Raises HubClosed after the last one."""
        messages = [await self.get()]
        while len(messages) < most and (message := self._next()) is not None:
            messages.append(message)
        return messages

    def _next(self) -> Published | None:
        if self._replay is not None:
            message = next(self._replay, None)
            if self._replay.gap and message is not None:
                self._lose(message.stream_id, self._replay.gap)
                self._replay.gap = 0
            if message is None and self.view.max_rate is None:  # a rate's slots and held events are the replay's own
                self._replay = None
        else:
            message = self._queue.popleft() if self._queue else None
        return message and message.with_gap(self._gaps.pop(message.stream_id, 0))

    def _lose(self, stream_id: str, count: int) -> None:
        self.dropped += count
        self._gaps[stream_id] = self._gaps.get(stream_id, 0) + count


class _Channel:
    """One stream: its history and who follows it, by what they want to see of it."""

    def __init__(self, settings: HubSettings) -> None:
        self.history = History(settings.history, settings.history_bytes)
        self.lost = 0
        self._groups: dict[View, tuple[Viewer, set[Subscription]]] = {}

    @property
    def subscriptions(self) -> list[Subscription]:
        return [subscription for _, group in list(self._groups.values()) for subscription in list(group)]

    def attach(self, subscription: Subscription) -> None:
        viewer_and_group = self._groups.get(subscription.view)
        if viewer_and_group is None:
            viewer_and_group = self._groups[subscription.view] = (Viewer(subscription.view), set())
        viewer_and_group[1].add(subscription)

    def detach(self, subscription: Subscription) -> None:
        _, group = self._groups.get(subscription.view, (None, set()))
        group.discard(subscription)
        if not group:
            self._groups.pop(subscription.view, None)

    def deliver(self, message: Published) -> None:
        """Every view is made once, for all that share it."""
        self.history.append(message)
        for viewer, group in self._groups.values():
            shown = viewer.show(message)
            if shown is not None:
                for subscription in group:
                    self.lost += subscription.put(shown) and subscription.counted


class TrackHub:
    """Fans encoded messages out to subscribers and keeps the newest of each stream.

    `publish`, `subscribers`, `lost` and `close_stream` may be called on any thread, all else belongs to the event loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, settings: HubSettings) -> None:
        self._loop = loop
        self._settings = settings
        self._channels: dict[str, _Channel] = {}
        self._followers: dict[Subscription, Callable[[str], bool]] = {}
        self._joined: dict[Subscription, set[str]] = {}
        self._closed: HubClosed | None = None
        self._empty = asyncio.Event()

    def subscribe(
        self, stream_ids: Collection[str], view: View = EVERYTHING, from_seq: int | None = None
    ) -> Subscription:
        """Return a new queue that gets every message of these streams from now on, until the last one is removed.

        `from_seq` goes back to that message of the stream, which has to be one alone: what is not kept any more is told
        as a gap.
        """
        subscription = self._new(Subscription(self._settings.queue, view))
        for stream_id in stream_ids:
            self._join(subscription, stream_id)
        if from_seq is not None:
            (stream_id,) = stream_ids
            subscription.resume(Replay(self._channel(stream_id).history, from_seq, Viewer(view)))
        return subscription

    def follow(
        self, accepts: Callable[[str], bool], view: View = EVERYTHING, *, queue: int | None = None, counted: bool = True
    ) -> Subscription:
        """Return a new queue that gets every message of every stream whose id is accepted, those to come included."""
        subscription = self._new(Subscription(queue or self._settings.queue, view, counted=counted))
        self._followers[subscription] = accepts
        for stream_id in self._channels:
            if accepts(stream_id):
                self._join(subscription, stream_id)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Forget a queue; unknown ones are ignored."""
        self._followers.pop(subscription, None)
        for stream_id in self._joined.pop(subscription, ()):
            self._channels[stream_id].detach(subscription)
        if not self._joined:
            self._empty.set()

    def subscribers(self, stream_id: str) -> int:
        """Number of clients that follow a stream."""
        channel = self._channels.get(stream_id)
        return 0 if channel is None else sum(one.counted for one in channel.subscriptions)

    def lost(self, stream_id: str) -> int:
        """Messages of a stream that slow clients lost, all clients together, since the stream was added."""
        channel = self._channels.get(stream_id)
        return 0 if channel is None else channel.lost

    def history(self, stream_id: str) -> History:
        """The newest messages of a stream."""
        return self._channel(stream_id).history

    def refill(self, stream_id: str, older: Iterable[Published], *, anew: bool) -> None:
        """Let a stream's history begin earlier, with messages that were kept elsewhere; those that do not lead up to
        what is here are left out. `anew`: what is here is forgotten first."""
        history = self._channel(stream_id).history
        if anew:
            history.clear()
        history.refill(older)

    def publish(self, message: Published) -> None:
        """Hand a message to all subscribers of its stream, in order of the calls."""
        self._loop.call_soon_threadsafe(self._deliver, message)

    def publish_encoded(self, encode: Callable[[], Published]) -> None:
        """The same of a message that the event loop encodes: whoever calls has less time than it."""
        self._loop.call_soon_threadsafe(lambda: self._deliver(encode()))

    def close_stream(self, stream_id: str) -> None:
        """Forget a removed stream, and end the subscriptions that have no other, after what was published before."""
        self._loop.call_soon_threadsafe(self._close_stream, stream_id)

    def close(self) -> None:
        """End all subscriptions, after what was published before: the service goes away."""
        self._closed = HubClosed(1001, "service is shutting down")
        for subscription in self._joined:
            subscription.close(self._closed)

    async def drained(self, grace_s: float) -> None:
        """After `close`: wait until every subscriber took what was queued for it, at most `grace_s` seconds."""
        if self._joined:
            self._empty.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), grace_s)

    def _new(self, subscription: Subscription) -> Subscription:
        if self._closed is not None:
            subscription.close(self._closed)
        self._joined[subscription] = set()
        return subscription

    def _join(self, subscription: Subscription, stream_id: str) -> None:
        self._channel(stream_id).attach(subscription)
        self._joined[subscription].add(stream_id)

    def _channel(self, stream_id: str) -> _Channel:
        channel = self._channels.get(stream_id)
        if channel is None:
            channel = self._channels[stream_id] = _Channel(self._settings)
            for subscription, accepts in self._followers.items():
                if accepts(stream_id):
                    self._join(subscription, stream_id)
        return channel

    def _deliver(self, message: Published) -> None:
        self._channel(message.stream_id).deliver(message)

    def _close_stream(self, stream_id: str) -> None:
        channel = self._channels.pop(stream_id, None)
        for subscription in channel.subscriptions if channel is not None else ():
            joined = self._joined[subscription]
            joined.discard(stream_id)
            if not joined and subscription not in self._followers:
                subscription.close(HubClosed(1000, "stream removed"))
