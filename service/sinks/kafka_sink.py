"""Kafka: messages in the topic <prefix>.tracks, keyed by the stream's id, so that each stream keeps its order."""

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator, Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from service.sinks.address import SinkAddress
from service.sinks.base import Send
from service.tracks.messages import Published

TIMEOUT_S = 5.0
MECHANISMS = {"plain": "PLAIN", "scram-sha-256": "SCRAM-SHA-256", "scram-sha-512": "SCRAM-SHA-512"}


class KafkaSink:
    """Waits until all replicas in sync have each message. `?sasl=scram-sha-512` says how to log in."""

    def __init__(self, address: SinkAddress) -> None:
        """Raises ValueError for options that make no sense."""
        self.address = address
        self._topic = f"{address.prefix}.tracks"
        if not re.fullmatch(r"[A-Za-z0-9._-]+", self._topic):
            raise ValueError("prefix of a kafka sink may have letters, digits, '_', '-' and '.' only")
        how = address.options.get("sasl", "plain")
        if how not in MECHANISMS:
            raise ValueError(f"sasl of a kafka sink must be one of {', '.join(MECHANISMS)}")
        self._mechanism = MECHANISMS[how]

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator[Send]:
        """Messages that wait together go together."""
        address = self.address
        login = "PLAINTEXT" if address.username is None else "SASL_PLAINTEXT"
        host = f"[{address.host}]" if ":" in address.host else address.host
        producer = AIOKafkaProducer(
            bootstrap_servers=f"{host}:{address.port}",
            client_id="atttrack",
            acks="all",
            request_timeout_ms=int(TIMEOUT_S * 1000),
            security_protocol=login.replace("PLAINTEXT", "SSL") if address.tls else login,
            ssl_context=ssl.create_default_context() if address.tls else None,
            sasl_mechanism=self._mechanism,
            sasl_plain_username=address.username,
            sasl_plain_password=address.password,
        )
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await producer.start()

            async def send(messages: Sequence[Published]) -> None:
                under_way = [
                    await producer.send(self._topic, message.encoded, key=message.stream_id.encode())
                    for message in messages
                ]
                await asyncio.gather(*under_way)

            yield send
        finally:
            with contextlib.suppress(KafkaError, TimeoutError):
                async with asyncio.timeout(TIMEOUT_S):
                    await producer.stop()
