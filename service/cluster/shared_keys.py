"""SharedKeys and SharedBucketTickets: API keys and tickets that every gateway of a cluster knows."""

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, TypeVar

from nats.aio.msg import Msg

from service.auth.caller import Caller
from service.auth.keys import ApiKey, hashed, name_taken
from service.auth.tickets import LIFETIME_S
from service.cluster.bucket import Bucket, payload_of
from service.cluster.bus import Bus, BusAway, WriteRefused
from service.cluster.subjects import KEYS_BUCKET, TICKETS_BUCKET, name_of, token
from service.errors import NotReady
from service.store import StoreError

log = logging.getLogger(__name__)
Result = TypeVar("Result")
NEWS = "att.keys.>"


class SharedKeys:
    """Implements `service.auth.keys.KeyShelf` over a bucket. Event loop only."""

    def __init__(self, bus: Bus) -> None:
        self._bucket = Bucket(bus, KEYS_BUCKET)
        self._keys: dict[str, tuple[int, ApiKey | None]] = {}
        self._take: Callable[[list[ApiKey], bool], None] = lambda keys, any_at_all: None
        self._read = False
        """Before that there may be keys, so nobody is let in without one."""

    def watch(self, take: Callable[[list[ApiKey], bool], None]) -> None:
        """Hand over the keys as they are known, now and after each change."""
        self._take = take
        self._hand_over()

    async def begin(self, bus: Bus) -> None:
        """Hear of changes and read all. Raises BusAway."""

        async def changed(message: Msg) -> None:
            revision = int((message.headers or {})["Nats-Sequence"])
            self._apply(message.subject.removeprefix(NEWS[:-1]), revision, payload_of(message))

        await bus.subscribe(NEWS, changed)
        await bus.barrier()
        await self.reread()

    async def reread(self) -> None:
        """Read all keys. Raises BusAway."""
        for key, entry in (await self._bucket.all(">")).items():
            self._apply(key, entry.revision, entry.payload)
        self._read = True
        self._hand_over()

    def insert(self, secret: str, key: ApiKey) -> Future[tuple[str, ApiKey]]:
        """Keep a key and return both. The future may have Conflict."""

        async def insert() -> tuple[str, ApiKey]:
            before, known = self._keys.get(token(key.name), (0, None))
            if known is not None:
                raise name_taken(key.name)
            payload = json.dumps(_document(key)).encode()
            try:
                revision = await self._bucket.put(token(key.name), payload, before)
            except WriteRefused:
                raise name_taken(key.name) from None
            self._apply(token(key.name), revision, payload)
            return secret, key

        return _started(insert())

    def delete(self, name: str, allow: Callable[[list[ApiKey]], None]) -> Future[None]:
        """Forget a key, unless `allow` raises."""

        async def delete() -> None:
            allow(self._all())
            before, _ = self._keys[token(name)]
            self._apply(token(name), await self._bucket.delete(token(name), before), None)

        return _started(delete())

    def _all(self) -> list[ApiKey]:
        return [key for _, key in self._keys.values() if key is not None]

    def _apply(self, key: str, revision: int, payload: bytes | None) -> None:
        if self._keys.get(key, (0, None))[0] < revision:
            self._keys[key] = (revision, None if payload is None else _key(name_of(key), payload))
            self._hand_over()

    def _hand_over(self) -> None:
        self._take(self._all(), not self._read or bool(self._all()))


class SharedBucketTickets:
    """Implements `service.auth.guard.SharedTickets`: used by deleting it at the revision that it was read at, which the
    server allows once."""

    def __init__(self, bus: Bus) -> None:
        self._bucket = Bucket(bus, TICKETS_BUCKET)

    async def issue(self, caller: Caller) -> str:
        """Return a ticket for what `caller` sees. Raises NotReady while NATS is away."""
        ticket = secrets.token_urlsafe(32)
        streams = None if caller.streams is None else sorted(caller.streams)
        body = {"name": caller.name, "streams": streams, "key_id": caller.key_id, "until": time.time() + LIFETIME_S}
        try:
            await self._bucket.put(hashed(ticket).hex(), json.dumps(body).encode(), 0)
        except (BusAway, WriteRefused):
            raise NotReady("nats_away", "tickets cannot be kept now; try again") from None
        return ticket

    async def redeem(self, ticket: str) -> Caller | None:
        """Return who may read by this ticket and void it. Raises NotReady while NATS is away."""
        key = hashed(ticket).hex()
        try:
            entry = await self._bucket.read(key)
            if entry.payload is None:
                return None
            await self._bucket.delete(key, entry.revision)
        except WriteRefused:
            return None  # somebody else was faster
        except BusAway:
            raise NotReady("nats_away", "tickets cannot be looked up now; try again") from None
        body = json.loads(entry.payload)
        streams = None if body["streams"] is None else frozenset(body["streams"])
        return replace(Caller(body["name"], "read", streams, body["key_id"]), by_ticket=True)


def _started(act: Coroutine[Any, Any, Result]) -> Future[Result]:
    """The work of a coroutine of this loop, as a future of any thread's."""
    done: Future[Result] = Future()
    done.set_running_or_notify_cancel()

    async def run() -> None:
        try:
            done.set_result(await act)
        except BusAway as error:
            done.set_exception(StoreError(f"NATS is away: {error}"))
        except Exception as error:
            done.set_exception(error)

    task = asyncio.get_running_loop().create_task(run())
    done.add_done_callback(lambda _: task)  # which keeps the task alive
    return done


def _document(key: ApiKey) -> dict[str, Any]:
    streams = None if key.streams is None else sorted(key.streams)
    return {
        "id": key.id, "scope": key.scope, "streams": streams, "created_at": key.created_at,
        "expires_at": key.expires_at, "hash": key.hash.hex(),
    }  # fmt: skip


def _key(name: str, payload: bytes) -> ApiKey | None:
    try:
        found = json.loads(payload)
        streams = None if found["streams"] is None else frozenset(found["streams"])
        digest = bytes.fromhex(found["hash"])
        return ApiKey(found["id"], name, found["scope"], streams, found["created_at"], found["expires_at"], digest)
    except (ValueError, KeyError, TypeError):
        log.error("key %s cannot be read; it opens nothing", name, extra={"event": "record_damaged"})
        return None
