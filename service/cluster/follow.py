"""Follower: brings the tracks that somebody follows here to this gateway's hub, past the fence."""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from service.cluster.bus import Bus, BusAway
from service.cluster.fence import Fence
from service.cluster.subjects import SiteSubjects
from service.logs import fields
from service.tracks.hub import TrackHub
from service.tracks.messages import read_head

log = logging.getLogger(__name__)

LINGER_S = 10.0
"""How long a stream is followed after the last who wanted it has left: he may come back."""


class Follower:
    """Belongs to the event loop."""

    def __init__(self, bus: Bus, subjects: SiteSubjects, hub: TrackHub, known: Callable[[str], bool]) -> None:
        """`known`: whether there is such a stream; messages of others are of the past."""
        self._bus, self._subjects, self._hub, self._known = bus, subjects, hub, known
        self.fence = Fence()
        self._wanted: Counter[str | None] = Counter()
        self._subscriptions: dict[str | None, Subscription] = {}
        self._left_s: dict[str | None, float] = {}
        self._fresh: set[str] = set()
        """Streams that were not followed before: a hole in their numbers says nothing."""

    async def reconnected(self) -> None:
        """Subscribe again to what is wanted. Raises BusAway."""
        self._subscriptions = {}
        for wanted in [one for one, count in self._wanted.items() if count > 0]:
            await self._subscribe(wanted)
        await self._bus.barrier()

    @contextlib.contextmanager
    def wanting(self, stream_ids: Collection[str] | None) -> Iterator[None]:
        """Count those who follow; None: all streams, those to come included."""
        wanted: list[str | None] = [None] if stream_ids is None else list(stream_ids)
        self._wanted.update(wanted)
        try:
            yield
        finally:
            self._wanted.subtract(wanted)
            self._left_s |= dict.fromkeys(wanted, time.monotonic())
            with contextlib.suppress(RuntimeError):  # the loop ends
                asyncio.get_running_loop().call_later(LINGER_S, self._leave, wanted)

    async def subscribe(self, stream_ids: Collection[str] | None) -> None:
        """Return when what these streams publish from now on comes to the hub; at once where NATS is away."""
        wanted: list[str | None] = [None] if stream_ids is None else list(stream_ids)
        with contextlib.suppress(BusAway):
            if any([await self._subscribe(one) for one in wanted]):
                await self._bus.barrier()

    def refill(self, stream_id: str, messages: Collection[bytes]) -> None:
        """Take older messages of a stream, which its node has kept, oldest first."""
        heads = [read_head(encoded) for encoded in messages]
        if not heads or heads[-1][1] < self.fence.newest(stream_id)[0]:
            return  # its owner before has answered
        newest, run = heads[-1]
        anew = stream_id in self._fresh and self.fence.passes(stream_id, run, newest.seq)
        if anew:  # nothing came since it is followed: what is here is of an earlier time
            self._fresh.discard(stream_id)
        self._hub.refill(stream_id, [message for message, of_run in heads if of_run == run], anew=anew)

    async def _subscribe(self, wanted: str | None) -> bool:
        if wanted in self._subscriptions:
            return False
        if wanted is not None:
            self._fresh.add(wanted)
        self._subscriptions[wanted] = await self._bus.subscribe(self._subjects.followed(wanted), self._take)
        return True

    def _leave(self, wanted: Collection[str | None]) -> None:
        for one in wanted:
            if self._wanted[one] <= 0 and time.monotonic() - self._left_s.get(one, 0.0) > LINGER_S - 0.1:
                del self._wanted[one]
                self._left_s.pop(one, None)
                if (subscription := self._subscriptions.pop(one, None)) is not None:
                    asyncio.get_running_loop().create_task(_unsubscribe(subscription))

    async def _take(self, received: Msg) -> None:
        try:
            message, run = read_head(received.data)
        except ValueError:
            log.warning("%s has no track message", received.subject, extra=fields("not_a_message"))
            return
        stream_id = message.stream_id
        if not self._known(stream_id):
            return
        before_run, before = self.fence.newest(stream_id)
        if not self.fence.passes(stream_id, run, message.seq):
            return
        if run == before_run and stream_id not in self._fresh and before > 0:
            message = message.with_gap(message.seq - before - 1)
        self._fresh.discard(stream_id)
        self._hub.publish(message)


async def _unsubscribe(subscription: Subscription) -> None:
    with contextlib.suppress(NatsError):
        await subscription.unsubscribe()
