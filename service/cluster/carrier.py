"""Carrier: takes what the streams of this node publish to NATS. What cannot be sent now is not sent later."""

import asyncio
import contextlib

from service.cluster.bus import Bus, BusAway
from service.cluster.subjects import SiteSubjects
from service.ending import end
from service.tracks.hub import HubClosed, TrackHub

QUEUE = 10_000
"""Messages that wait, of all streams together."""
BATCH = 100


class Carrier:
    """Belongs to the event loop of the hub."""

    def __init__(self, bus: Bus, hub: TrackHub, subjects: SiteSubjects, node: str) -> None:
        self._bus, self._hub, self._subjects, self._node = bus, hub, subjects, node
        self._subscription = hub.follow(lambda stream_id: True, queue=QUEUE, counted=False)
        self._task = asyncio.create_task(self._carry(), name="carrier")

    async def close(self) -> None:
        """After the hub was closed: send what waits, and end."""
        await asyncio.wait({self._task}, timeout=1.0)
        await end(self._task)

    async def _carry(self) -> None:
        with contextlib.suppress(HubClosed):
            while True:
                for message in await self._subscription.get_batch(BATCH):
                    with contextlib.suppress(BusAway):
                        subject = self._subjects.tracks(self._node, message.stream_id)
                        await self._bus.publish(subject, message.encoded)
        self._hub.unsubscribe(self._subscription)  # all is sent: nobody has to wait for it
