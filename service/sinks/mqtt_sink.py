"""MQTT: messages at <prefix>/streams/<id>/tracks, and <prefix>/available says whether the service is there."""

import contextlib
from collections.abc import AsyncIterator, Sequence

import aiomqtt

from service.sinks.address import SinkAddress
from service.sinks.base import Send
from service.tracks.messages import Published

TIMEOUT_S = 5.0
KEEPALIVE_S = 15
"""A broker that hears nothing for 1.5 times as long takes the service for dead and publishes its Last Will."""


class MqttSink:
    """`?qos=1` waits for the broker to acknowledge each message; the default 0 does not."""

    def __init__(self, address: SinkAddress) -> None:
        """Raises ValueError for options that make no sense."""
        self.address = address
        self._qos = address.number("qos", default=0, most=1)

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator[Send]:
        """Say `online` (retained) while connected, `offline` after it, by Last Will if it ends unforeseen."""
        address = self.address
        available = f"{address.prefix}/available"
        async with aiomqtt.Client(
            address.host,
            address.port,
            username=address.username,
            password=address.password,
            will=aiomqtt.Will(available, b"offline", qos=1, retain=True),
            keepalive=KEEPALIVE_S,
            timeout=TIMEOUT_S,
            tls_params=aiomqtt.TLSParameters() if address.tls else None,
        ) as client:
            await client.publish(available, b"online", qos=1, retain=True)

            async def send(messages: Sequence[Published]) -> None:
                for message in messages:
                    topic = f"{address.prefix}/streams/{message.stream_id}/tracks"
                    await client.publish(topic, message.encoded, qos=self._qos)

            try:
                yield send
            finally:
                with contextlib.suppress(aiomqtt.MqttError):
                    await client.publish(available, b"offline", qos=1, retain=True)
