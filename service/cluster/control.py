"""Control: the part of a node that beats, claims and gives back. It has a thread, a loop and a connection of its own,
so that neither tracks nor pictures ever make a node look dead."""

import asyncio
import contextlib
import json
import logging
import secrets
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

from nats.aio.msg import Msg

from service.cluster.beats import BEAT_S, Beats
from service.cluster.bucket import Bucket, read_table, subscribe_table
from service.cluster.bus import Bus, BusAddress, BusAway, WriteRefused
from service.cluster.claims import NOBODY, Decision, Offer, Situation, decide
from service.cluster.counts import LeasedCounts, Unsaved
from service.cluster.spec_document import SpecDocument
from service.cluster.subjects import SiteSubjects, key, life_of, name_of
from service.cluster.table import Table
from service.ending import end
from service.logs import fields
from service.store import StoreError
from service.streams.spec import StreamSpec

log = logging.getLogger(__name__)
Result = TypeVar("Result")

TICK_S = 0.5
AT_ONCE = 16
"""Claims, and streams that are begun, at a time: a server on a slow disk answers all of them in time."""
GATHER_S = 0.05
"""How long news are gathered before it looks at all of them."""
REREAD_S = 10.0
"""How often the whole table is read again: a write that was not told is known after that time."""
BALANCE_S = 2.0
"""Time between two streams that are given back for a node that has less."""
COUNTS_S = 0.2
"""Time between two writes of the counts that nobody waits for."""
LEAVE_S = 4.0
"""How long an orderly end may take."""


class StreamRunner(Protocol):
    """What runs the streams. Called on the control's loop; may take its time, and must not raise."""

    async def adopt(self, spec: StreamSpec, created_at: float, run: int) -> None:
        """Run this stream; its counts are restored already."""
        ...

    async def change(self, spec: StreamSpec) -> None:
        """The stream shall be like this from now on."""
        ...

    async def release(self, stream_id: str, *, removed: bool) -> None:
        """Stop this stream: when this returns, it publishes and counts no more. `removed`: for good."""
        ...

    def offer(self) -> dict[str, Any]:
        """What this node says of itself in its beat, `capacity` among it. Quick, on any thread."""
        ...


class Control:
    """Starts with `start`, ends with `leave`; these may be called on any thread."""

    def __init__(self, address: BusAddress, site: str, name: str, runner: StreamRunner, counts: LeasedCounts) -> None:
        self.life = life_of(name, secrets.token_hex(3))
        self.draining = False
        """Whether streams are left to others, while the node stays."""
        self._address, self._subjects = address, SiteSubjects(site)
        self._runner, self._counts = runner, counts
        self._table = Table(lambda kind, stream_id: self._news.set())
        self._beats = Beats(self.life)
        self._running: dict[str, int] = {}
        self._shown: dict[str, int] = {}  # stream -> revision of the spec that it runs by
        self._created: dict[str, float] = {}  # stream -> when the one that runs was posted
        self._damaged: set[str] = set()
        self._room = asyncio.Semaphore(AT_ONCE)
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._leaving = self._died = False
        self._balanced_s = 0.0
        self._loop = asyncio.new_event_loop()
        self._news = asyncio.Event()
        self._unsaved = asyncio.Event()
        self._bus = Bus(address, begin=self._begin)
        self._bucket = Bucket(self._bus, self._subjects.bucket)
        self._secrets = Bucket(self._bus, self._subjects.secrets)
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)

    @property
    def connected(self) -> bool:
        """Whether NATS is there, and the table with it."""
        return self._bus.connected

    @property
    def error(self) -> str | None:
        """Why it is not."""
        return self._bus.error

    @property
    def running(self) -> dict[str, int]:
        """Streams that run here, with their runs."""
        return dict(self._running)

    def start(self) -> None:
        """Begin to beat and to claim."""
        self._counts.wake = lambda: self._soon(self._unsaved.set)
        self._thread.start()

    def drain(self, draining: bool = True) -> None:
        """Leave all streams to others as far as they have room, and take none; or take part again."""
        self.draining = draining
        self._soon(self._news.set)

    def leave(self, timeout_s: float = LEAVE_S) -> None:
        """Give everything back, say goodbye and end the thread; streams stop at once where NATS is away."""
        if self._thread.ident is None:
            return
        self._leaving = True
        self._soon(self._news.set)
        self._thread.join(timeout_s + 1)

    def die(self) -> None:
        """End the thread without a word, as a process that is killed: for tests and measurements."""
        self._died = True
        self._soon(self._news.set)
        self._thread.join(5)

    def shown(self, stream_id: str) -> int:
        """Revision of the spec that a stream runs by; 0 while it does not run here."""
        return self._shown.get(stream_id, 0) if stream_id in self._running else 0

    def _soon(self, act: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(act)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._live())

    async def _live(self) -> None:
        forever = [self._bus.run(), self._beat(), self._reread(), self._write_counts()]
        tasks = [asyncio.create_task(one) for one in forever]
        try:
            await self._tick_until_left()
        finally:
            await end(*tasks, *self._busy.values())

    async def _begin(self, bus: Bus) -> None:
        self._beats.connected(time.monotonic())
        await bus.subscribe(self._subjects.beats, self._hear)
        await subscribe_table(bus, self._subjects, self._table)
        await read_table(self._bucket, self._table)

    async def _hear(self, message: Msg) -> None:
        _, _, _, node, life = message.subject.split(".")
        who = life_of(name_of(node), life)
        if message.data == b"bye":
            self._beats.goodbye(who)
            self._news.set()
        else:
            self._beats.receive(who, json.loads(message.data), time.monotonic())

    async def _beat(self) -> None:
        node, _, life = self.life.partition("/")
        while True:
            body = {**self._runner.offer(), "draining": self.draining, "streams": len(self._running)}
            with contextlib.suppress(BusAway):
                await self._bus.publish(self._subjects.beat(node, life), json.dumps(body).encode())
            await asyncio.sleep(BEAT_S)

    async def _reread(self) -> None:
        while True:
            await asyncio.sleep(REREAD_S)
            with contextlib.suppress(BusAway, WriteRefused):
                await read_table(self._bucket, self._table)

    async def _tick_until_left(self) -> None:
        leave_by = float("inf")
        while True:
            self._news.clear()
            if self._died:
                return
            if self._leaving:
                leave_by = min(leave_by, time.monotonic() + LEAVE_S)
            if self._bus.connected:
                await self._do(decide(self._situation()))
            if self._leaving and ((not self._running and not self._busy) or not self._bus.connected):
                break
            if time.monotonic() > leave_by:
                break
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), TICK_S)
            await asyncio.sleep(GATHER_S)
        for stream_id in list(self._running):  # what could not be given back ends at least
            await self._runner.release(stream_id, removed=False)
        with contextlib.suppress(BusAway):
            node, _, life = self.life.partition("/")
            await self._bus.publish(self._subjects.beat(node, life), b"bye")
            await self._bus.barrier()

    def _situation(self) -> Situation:
        now = time.monotonic()
        self._beats.forget_old(now)
        heard = {**self._beats.live(now), self.life: {**self._runner.offer(), "draining": self.draining}}
        live = {
            life: Offer(
                int(body["capacity"]), body.get("weight"), bool(body["draining"]), self._beats.settled(life, now)
            )
            for life, body in heard.items()
        }
        return Situation(
            me=self.life,
            specs=self._table.stream_ids(),
            leases=self._table.leases(),
            live=live,
            running=self._running,
            seasoned=self._beats.seasoned(now),
            leaving=self._leaving,
            may_balance=now - self._balanced_s >= BALANCE_S,
        )

    async def _do(self, decision: Decision) -> None:
        """Begin what was decided. What takes long goes on by itself, one thing at a time for each stream."""
        for stream_id in decision.release:
            self._task(stream_id, self._release(stream_id))
        for stream_id, run in decision.adopt:
            self._task(stream_id, self._adopt(stream_id, run))
        for stream_id, revision in decision.forget:
            self._task(stream_id, self._forget(stream_id, revision))
        for stream_id in decision.give_back:
            self._balanced_s = time.monotonic()
            self._task(stream_id, self._give_back(stream_id))
        for stream_id, run in self._running.items():
            if self._shown.get(stream_id) != self._table.row("spec", stream_id).revision and run:
                self._task(stream_id, self._change(stream_id))
        await asyncio.gather(*(self._claim(*one) for one in decision.claim[:AT_ONCE]))

    def _task(self, stream_id: str, act: Coroutine[Any, Any, None]) -> None:
        if stream_id in self._busy:
            act.close()
            return
        self._busy[stream_id] = asyncio.create_task(self._guarded(stream_id, act))

    async def _guarded(self, stream_id: str, act: Coroutine[Any, Any, None]) -> None:
        try:
            async with self._room:
                await act
        except (BusAway, WriteRefused) as error:  # the next tick looks again
            log.info("stream %s: %s", stream_id, error, extra=fields("cluster_wait", stream_id=stream_id))
            await asyncio.sleep(0.1)
        except Exception:  # one stream's fault is not the node's
            log.exception("stream %s", stream_id, extra=fields("cluster_failed", stream_id=stream_id))
            await asyncio.sleep(TICK_S)
        finally:
            self._busy.pop(stream_id, None)
            self._news.set()

    async def _claim(self, stream_id: str, expected: int) -> None:
        body = json.dumps({"owner": self.life}).encode()
        with contextlib.suppress(BusAway, WriteRefused):  # unknown, or somebody else's: the table will tell
            revision = await self._bucket.put(key("lease", stream_id), body, expected)
            self._table.apply("lease", stream_id, revision, body)

    async def _adopt(self, stream_id: str, run: int) -> None:
        if stream_id in self._running:
            await self._stop(stream_id, removed=False)
        row = self._table.row("spec", stream_id)
        if row.value is None:
            return
        try:
            document = SpecDocument.parse(stream_id, row.value)
        except ValueError:
            log.exception(
                "stream %s cannot be read; it is kept, and not run", stream_id, extra=fields("record_damaged")
            )
            self._running[stream_id], self._shown[stream_id] = run, row.revision
            self._damaged.add(stream_id)
            return
        self._counts.restore(stream_id, await self._last_counts(stream_id))
        spec = await document.opened(self._secrets)
        self._running[stream_id], self._shown[stream_id] = run, row.revision  # it may count as soon as it begins
        self._created[stream_id] = document.created_at
        try:
            await self._runner.adopt(spec, document.created_at, run)
        except BaseException:
            del self._running[stream_id], self._shown[stream_id], self._created[stream_id]
            raise
        log.info("stream %s taken, run %x", stream_id, run, extra=fields("stream_taken", stream_id=stream_id))

    async def _last_counts(self, stream_id: str) -> dict[str, Any]:
        """What the owner before counted. Written back as it was: a leader that was deposed and answers late is refused
        here, and asked again."""
        for _ in range(10):
            entry = await self._bucket.read(key("counts", stream_id))
            payload = entry.payload or b"{}"
            try:
                await self._bucket.put(key("counts", stream_id), payload, entry.revision)
            except WriteRefused as error:
                if not error.conflict:
                    raise
                continue
            found: dict[str, Any] = json.loads(payload)
            return found
        raise BusAway("somebody else writes the counts")

    async def _change(self, stream_id: str) -> None:
        row = self._table.row("spec", stream_id)
        if stream_id in self._damaged:  # from here on it is as if it had just been taken
            await self._stop(stream_id, removed=False)
        elif row.value is not None:
            document = SpecDocument.parse(stream_id, row.value)
            if document.created_at != self._created[stream_id]:  # removed, and posted anew before this was seen
                await self._forget(stream_id, self._running[stream_id])
                return
            await self._runner.change(await document.opened(self._secrets))
            self._shown[stream_id] = row.revision

    async def _release(self, stream_id: str, *, removed: bool = False) -> None:
        await self._stop(stream_id, removed=removed or self._table.spec(stream_id) is None)
        self._counts.forget(stream_id)
        log.info("stream %s is left", stream_id, extra=fields("stream_left", stream_id=stream_id))

    async def _give_back(self, stream_id: str) -> None:
        """Stop, leave the last counts, and only then let others have it."""
        run = self._running.get(stream_id, 0)
        if run:
            await self._stop(stream_id, removed=False)
            for unsaved in self._counts.take(stream_id).values():
                await self._save(stream_id, run, unsaved)
        lease = self._table.lease(stream_id)
        if lease is not None and lease.owner == self.life:
            body = json.dumps({"owner": NOBODY}).encode()
            revision = await self._bucket.put(key("lease", stream_id), body, lease.revision)
            self._table.apply("lease", stream_id, revision, body)
        self._counts.forget(stream_id)

    async def _forget(self, stream_id: str, revision: int) -> None:
        """Delete what a removed stream leaves; the counts first, under the lease: a stream that was posted anew with
        the same id has another one."""
        if stream_id in self._running:
            await self._release(stream_id, removed=True)
        lease = key("lease", stream_id)
        await self._bucket.delete(key("counts", stream_id), lease=(lease, revision))
        self._table.apply("lease", stream_id, await self._bucket.delete(lease, revision), None)

    async def _stop(self, stream_id: str, *, removed: bool) -> None:
        await self._runner.release(stream_id, removed=removed)
        self._running.pop(stream_id, None)
        self._shown.pop(stream_id, None)
        self._created.pop(stream_id, None)
        self._damaged.discard(stream_id)

    async def _write_counts(self) -> None:
        while True:
            await self._unsaved.wait()
            self._unsaved.clear()
            unsaved = self._counts.take()
            urgent = any(one.waiting for one in unsaved.values())
            await asyncio.gather(*(self._save(one, self._running.get(one, 0), what) for one, what in unsaved.items()))
            if not urgent:
                await asyncio.sleep(COUNTS_S)

    async def _save(self, stream_id: str, run: int, unsaved: Unsaved) -> None:
        """Write counts, if the lease is still this run's. A refusal alone does not say that it is not: it may mean that
        another write is under way."""
        payload = json.dumps(unsaved.counts).encode()
        lease = key("lease", stream_id)
        while run:
            try:
                await self._bucket.put(key("counts", stream_id), payload, lease=(lease, run))
            except BusAway:
                self._counts.back(stream_id, unsaved)
                self._loop.call_later(COUNTS_S, self._unsaved.set)
                return
            except WriteRefused as refused:
                try:
                    entry = await self._bucket.read(lease)
                except BusAway:
                    continue
                if refused.conflict and entry.revision == run:
                    continue
                self._table.apply("lease", stream_id, entry.revision, entry.payload)
                break
            _tell(unsaved.waiting, None)
            return
        _tell(unsaved.waiting, StoreError("this stream is another node's by now"))


def _tell(waiting: list["Future[None]"], error: Exception | None) -> None:
    for one in waiting:
        if not one.done() and one.set_running_or_notify_cancel():
            one.set_result(None) if error is None else one.set_exception(error)
