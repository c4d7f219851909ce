"""Sinks: all brokers of one service, from its settings to their state."""

import asyncio
from collections.abc import Callable, Iterable
from importlib import import_module

from pydantic import BaseModel, Field

from service.sinks.address import SinkAddress
from service.sinks.base import QUEUE, Sink, SinkRunner
from service.tracks.hub import TrackHub

FLUSH_S = 5.0
"""At the end, brokers get so long to take what is queued."""
_CLASSES = {"mqtt": "MqttSink", "redis": "RedisSink", "nats": "NatsSink", "kafka": "KafkaSink"}


class SinkView(BaseModel):
    """A sink as the API shows it."""

    url: str = Field(description="Without user, password and options.")
    connected: bool
    error: str | None = Field(description="Why it is not connected.")
    sent: int = Field(description="Messages, total.")
    dropped: int = Field(description="Messages that were lost, the broker being away or slow, total.")
    queued: int = Field(description="Messages that wait.")
    failures: int = Field(description="Connections that could not be made, or broke, total.")


def open_sink(url: str) -> Sink:
    """Return the sink for `url`, not yet connected. Raises ValueError where it is none, or its library is missing."""
    address = SinkAddress.parse(url)
    module = import_module(f"service.sinks.{address.kind}_sink")  # the libraries are extras
    make: Callable[[SinkAddress], Sink] = getattr(module, _CLASSES[address.kind])
    return make(address)


class Sinks:
    """Runs a sink for each URL. Event loop only."""

    def __init__(self, hub: TrackHub, urls: Iterable[str]) -> None:
        """Begin to connect. Raises ValueError like `open_sink`."""
        self._hub = hub
        self.runners = [self._run(open_sink(url)) for url in urls]

    def views(self) -> list[SinkView]:
        """How all sinks are."""
        return [
            SinkView(
                url=one.address.shown,
                connected=one.connected,
                error=one.error,
                sent=one.sent,
                dropped=one.subscription.dropped,
                queued=one.subscription.queued,
                failures=one.failures,
            )
            for one in self.runners
        ]

    async def close(self, grace_s: float) -> None:
        """After the hub was closed: flush for at most `grace_s` seconds and disconnect."""
        await asyncio.gather(*(one.close(min(grace_s, FLUSH_S)) for one in self.runners))
        for one in self.runners:
            self._hub.unsubscribe(one.subscription)

    def _run(self, sink: Sink) -> SinkRunner:
        subscription = self._hub.follow(lambda _: True, sink.address.view, queue=QUEUE, counted=False)
        return SinkRunner(sink, subscription)
