"""Bucket: keys with revisions in JetStream, read and written by the server's own commands.

The library's key-value client is not used: its watch is blind for seconds after a server's restart, and it takes a
marker of the server's for a live key.
"""

import asyncio
import base64
import json
import time
from dataclasses import dataclass
from typing import Any

from nats.aio.msg import Msg

from service.cluster.bus import Bus, BusAway, WriteRefused
from service.cluster.subjects import SiteSubjects, name_of, stream_of
from service.cluster.table import Table

PAGE = 1000
"""Keys that are read at a time."""
GONE = {"KV-Operation": "DEL"}
NOT_FOUND, NO_STORE = 10037, 10049


@dataclass(frozen=True, slots=True)
class Entry:
    """What a key has."""

    revision: int
    payload: bytes | None
    """None: deleted, or never written (revision 0)."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket as seen over one bus."""

    bus: Bus
    name: str
    domain: str | None = None
    """Of a site whose server is reached through this one."""

    @property
    def _api(self) -> str:
        return f"$JS.{self.domain}.API" if self.domain else "$JS.API"

    def subject(self, key: str) -> str:
        """Where the server keeps a key."""
        return f"$KV.{self.name}.{key}"

    def _write_to(self, key: str) -> str:
        return f"{self._api}.{self.subject(key)}" if self.domain else self.subject(key)

    async def create(
        self, replicas: int = 1, republish: str | None = None, *, memory: bool = False, max_age_s: float = 0
    ) -> bool:
        """Make the bucket; return whether it was not there. Raises WriteRefused, BusAway.

        Revisions begin at the time in microseconds, so those of a bucket that replaces a lost one are higher.
        """
        if await self.exists():
            return False
        config: dict[str, Any] = {
            "name": f"KV_{self.name}",
            "subjects": [self.subject(">")],
            "storage": "memory" if memory else "file",
            "num_replicas": replicas,
            "max_msgs_per_subject": 1,
            "discard": "new",
            "allow_direct": True,
            "allow_rollup_hdrs": True,
            "deny_delete": True,
            "max_age": int(max_age_s * 1e9),
            "first_seq": int(time.time() * 1e6),
        }
        if republish is not None:
            config["republish"] = {"src": self.subject(">"), "dest": republish}
        body = json.dumps(config).encode()
        for wait_s in (0.2, 0.5, 1, 2, 5, 0):
            try:
                await self.bus.api(f"{self._api}.STREAM.CREATE.KV_{self.name}", body, timeout_s=10)
                break
            except WriteRefused as refused:
                # The server answers a deletion before the folder is gone; for that long it cannot make it anew.
                if refused.code != NO_STORE or not wait_s:
                    raise
            await asyncio.sleep(wait_s)
        return True

    async def exists(self) -> bool:
        """Whether there is such a bucket. Raises BusAway."""
        return await self.info() is not None

    async def info(self) -> dict[str, Any] | None:
        """The server's description of the bucket; None where there is none. Raises BusAway."""
        try:
            return await self.bus.api(f"{self._api}.STREAM.INFO.KV_{self.name}", timeout_s=10)
        except WriteRefused:
            return None

    async def put(
        self, key: str, payload: bytes, expected: int | None = None, lease: tuple[str, int] | None = None
    ) -> int:
        """Write a key and return its revision. Raises WriteRefused, BusAway.

        `expected`: the key's revision before, 0 for one that there never was. `lease`: another key and the revision
        that it must have, instead.
        """
        if lease is not None:
            return await self.bus.write(self._write_to(key), payload, lease[1], self.subject(lease[0]))
        return await self.bus.write(self._write_to(key), payload, expected)

    async def delete(self, key: str, expected: int | None = None, lease: tuple[str, int] | None = None) -> int:
        """Mark a key as deleted and return the marker's revision. Raises WriteRefused, BusAway."""
        of = self.subject(lease[0]) if lease else None
        return await self.bus.write(self._write_to(key), b"", lease[1] if lease else expected, of, GONE)

    async def read(self, key: str) -> Entry:
        """What a key has, as its leader says: never what a replica remembers. Raises BusAway."""
        body = json.dumps({"last_by_subj": self.subject(key)}).encode()
        try:
            found = (await self.bus.api(f"{self._api}.STREAM.MSG.GET.KV_{self.name}", body))["message"]
        except WriteRefused as error:
            if error.code == NOT_FOUND:
                return Entry(0, None)
            raise
        head = base64.b64decode(found.get("hdrs", ""))
        gone = b"KV-Operation: DEL" in head or b"KV-Operation: PURGE" in head
        return Entry(int(found["seq"]), None if gone else base64.b64decode(found.get("data", "")))

    async def all(self, keys: str) -> dict[str, Entry]:
        """All entries of the keys that match, page by page; a replica may answer, a moment behind. Raises BusAway."""
        found: dict[str, Entry] = {}
        after = 0
        while True:
            body = {"seq": after + 1, "batch": PAGE, "next_by_subj": self.subject(keys)}
            page, left = await self._page(json.dumps(body).encode())
            for subject, entry in page:
                found[subject.removeprefix(self.subject(""))] = entry
                after = max(after, entry.revision)
            if not page or left == 0:
                return found

    async def _page(self, body: bytes) -> tuple[list[tuple[str, Entry]], int]:
        """Entries with their subjects, and how many more there are."""
        found: list[tuple[str, Entry]] = []
        left = 0
        async with self.bus.inbox() as (where, answers):
            await self.bus.publish_to(f"{self._api}.DIRECT.GET.KV_{self.name}", body, where)
            while True:
                message = await _next(answers)
                headers = message.headers or {}
                status = headers.get("Status")
                if status in ("204", "404"):  # the end of a page, nothing at all
                    return found, left
                if status is not None:
                    raise BusAway(f"reading {self.name}: {headers.get('Description', status)}")
                revision, left = int(headers["Nats-Sequence"]), int(headers.get("Nats-Num-Pending", 0))
                found.append((headers["Nats-Subject"], Entry(revision, payload_of(message))))


async def _next(answers: "asyncio.Queue[Msg]") -> Msg:
    try:
        return await asyncio.wait_for(answers.get(), 5.0)
    except TimeoutError:
        raise BusAway("a bucket is not answered for") from None


def payload_of(message: Msg) -> bytes | None:
    """What a key has after this write: None where it was deleted."""
    return None if (message.headers or {}).get("KV-Operation") in ("DEL", "PURGE") else message.data


async def read_table(bucket: Bucket, table: Table) -> None:
    """Read all specs and leases into the table. Raises BusAway."""
    for kind in Table.KINDS:
        found = await bucket.all(f"{kind}.>")
        for full_key, entry in found.items():
            table.apply(kind, stream_of(full_key), entry.revision, entry.payload)
        newest = max((entry.revision for entry in found.values()), default=0)
        table.finish(kind, {stream_of(one) for one in found}, newest)
    table.complete = True


async def subscribe_table(bus: Bus, subjects: SiteSubjects, table: Table) -> None:
    """Follow what is written from now on, for as long as the connection lasts. Raises BusAway."""

    async def take(message: Msg) -> None:
        headers = message.headers or {}
        kind, stream = message.subject.split(".", 4)[3:]
        table.apply(kind, name_of(stream), int(headers["Nats-Sequence"]), payload_of(message))

    for kind in Table.KINDS:
        await bus.subscribe(subjects.news(kind), take)
    await bus.barrier()
