"""StreamRegistry: the streams of this service, and the one who changes them: in memory, on the device, in the store."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Protocol, TypeVar

from pydantic import ValidationError

from edge.pipeline.config import LaneSettings, Mode
from edge.sources import open_source
from edge.sources.base import SourceError
from edge.sources.latest import FrameReader
from service.adaptation.settings import check_learning
from service.cameras.url_policy import Address, UrlPolicy
from service.errors import (
    ApiError,
    Conflict,
    LimitReached,
    NotReady,
    Refused,
    check_version,
    stream_differs,
    stream_not_found,
)
from service.kept import kept
from service.logs import fields
from service.store import Store, StoredStream
from service.streams.opening import in_time
from service.streams.schema import NewStream, StreamPatch, StreamView
from service.streams.spec import StreamSpec
from service.streams.stream import SOURCE_SETTINGS, Stream
from service.streams.worker import Worker, WorkerStopped
from service.zones.zone import Line, Polygon

log = logging.getLogger(__name__)

Result = TypeVar("Result")

CLOSE_S = 2.0
"""For all readers together, at the end of the service."""


class MakeStream(Protocol):
    """Makes a stream from its specification, the Unix time of its creation, and its run, where that is given."""

    def __call__(self, spec: StreamSpec, created_at: float, run: int | None = None, /) -> Stream: ...


class StreamRegistry:
    """Adds, changes and removes streams; belongs to the event loop.

    What returned without an error is in the store: it outlives the death of the process at any moment.
    """

    def __init__(
        self,
        lane: LaneSettings,
        policy: UrlPolicy,
        most: int,
        store: Store,
        worker: Worker,
        make: MakeStream,
        forget: Callable[[str], object],
        adapts: Callable[[Stream], object],
        adapts_no_more: Callable[[Stream, bool], object],
    ) -> None:
        """`lane`: what a stream has that asks for nothing else; `most` streams at a time.

        These may wait: `forget` deletes what is kept elsewhere of a stream that is removed, `adapts` hears of what a
        stream's spec says of adaptation, `adapts_no_more` of one that is gone, and whether it is nobody's any more.
        """
        self._lane, self._policy, self._most = lane, policy, most
        self._store = store
        self._worker = worker
        self._make = make
        self._forget, self._adapts, self._adapts_no_more = forget, adapts, adapts_no_more
        self._streams: dict[str, Stream] = {}
        self._rows: dict[str, StoredStream] = {}
        self._changing = asyncio.Lock()
        self._closed = False

    def restore(self) -> None:
        """Take over the streams of the store; they are pending until `begin`. Raises StoreError."""
        for row in self._store.streams():
            try:
                spec = StreamSpec.from_document(row.id, row.document)
            except ValidationError as error:  # whose text has the values, and secrets among them
                names = ", ".join(".".join(map(str, one["loc"])) for one in error.errors())
                self._store.set_aside("streams", row.id.encode().hex().upper(), f"not a stream's: {names}")
                continue
            self._rows[row.id] = row
            self._streams[row.id] = self._make(spec, row.created_at)

    async def begin(self, cameras: Iterable[NewStream]) -> None:
        """Start all streams: those taken over, and those of the settings, which are what the settings say now.

        Nothing stops the start: a stream that cannot work any more is failed, with its cause; a camera of the settings
        that is refused is logged and left out.
        """
        wanted = {camera.id: camera for camera in cameras}
        for row in list(self._rows.values()):
            if row.from_settings and row.id not in wanted:
                await self.remove(row.id)
        await asyncio.gather(*(self._resume(stream, number) for number, stream in enumerate(self.all())))
        for camera in wanted.values():
            try:
                await self._add_first(camera)
            except ApiError as error:
                extra = fields("stream_refused", stream_id=camera.id, code=error.code)
                log.error("cannot start with %s: %s: %s", camera.id, error.code, error.detail, extra=extra)

    async def add(
        self, new: NewStream, idempotency_key: str | None = None, *, from_settings: bool = False
    ) -> tuple[Stream, bool]:
        """Return the stream and whether it is new. Raises Refused, Conflict, LimitReached or NotReady."""
        spec = StreamSpec.from_request(new, self._lane, idempotency_key)
        if (known := self._known(spec.id, new)) is not None:
            return known, False
        self._check_open()
        self._check_mode(spec.lane.mode)
        self._check_classes(spec.zones)
        self._check_adapt(spec)
        stream = self._make(spec, time.time())
        address, reader = await self._open(stream, spec)
        async with self._changing:
            if (known := self._known(spec.id, new)) is not None:
                return known, False
            self._check_open()
            if len(self._streams) >= self._most:
                raise self._too_many()
            stream.adopt(address, reader)
            await _done(self._worker.add(stream))
            try:
                created_at, document = stream.created_at, spec.document()
                row = await kept(self._store.add_stream(spec.id, document, created_at, from_settings))
            except ApiError:
                await _done(self._worker.remove(spec.id))
                raise
            self._rows[spec.id], self._streams[spec.id] = row, stream
        stream.start()
        await asyncio.to_thread(self._adapts, stream)
        log.info("stream %s added: %s", spec.id, address.shown, extra=fields("stream_added", stream_id=spec.id))
        return stream, True

    async def update(self, stream_id: str, patch: StreamPatch, if_match: str | None = None) -> Stream:
        """Change a stream that may be running. Raises NotFound, PreconditionFailed, Refused or NotReady."""
        while True:
            stream, old, spec = self._changed(stream_id, patch, if_match)
            moved = (spec.url, spec.credentials) != (old.url, old.credentials)
            anew = moved or ("url" in patch.model_fields_set and not stream.live)
            opened = await self._open(stream, spec) if anew else None
            await self._changing.acquire()
            if self._streams.get(stream_id) is stream and stream.spec is old:
                break
            self._changing.release()  # somebody else was faster; look again at what there is now
        try:
            _, old, spec = self._changed(stream_id, patch, if_match)
            if spec != old:
                self._rows[stream_id] = await kept(self._store.change_stream(stream_id, spec.document()))
            await self._apply(stream, spec, opened)
        finally:
            self._changing.release()
        changed = sorted(patch.model_fields_set)
        extra = fields("stream_changed", stream_id=stream_id)
        log.info("stream %s changed: %s", stream_id, ", ".join(changed) or "nothing", extra=extra)
        return stream

    async def remove(self, stream_id: str, if_match: str | None = None) -> None:
        """Stop a stream and end its subscriptions. Raises NotFound, PreconditionFailed or NotReady."""
        async with self._changing:
            stream = self.get(stream_id)
            self._check_open()
            check_version(self.etag(stream_id), if_match)
            await kept(self._store.remove_stream(stream_id))
            await _done(self._worker.remove(stream_id))
            del self._streams[stream_id], self._rows[stream_id]
        stream.end_subscriptions()
        await asyncio.to_thread(self._adapts_no_more, stream, True)
        await asyncio.to_thread(self._forget, stream_id)  # a disk that hangs keeps no other change waiting
        await asyncio.to_thread(stream.close)
        log.info("stream %s removed", stream_id, extra=fields("stream_removed", stream_id=stream_id))

    async def adopt(self, spec: StreamSpec, created_at: float, run: int) -> None:
        """Run a stream that others keep; one that cannot work is failed, with its cause."""
        stream = self._make(spec, created_at, run)
        self._rows[spec.id] = await kept(self._store.add_stream(spec.id, {}, created_at))
        self._streams[spec.id] = stream
        await self._resume(stream, len(self._streams) - 1)

    async def become(self, spec: StreamSpec) -> None:
        """Let an adopted stream be as `spec` says. Raises NotFound."""
        stream, opened = self.get(spec.id), None
        moved = (spec.url, spec.credentials) != (stream.spec.url, stream.spec.credentials)
        try:
            if moved or not stream.live:
                opened = await self._open(stream, spec)
            await self._apply(stream, spec, opened)
        except ApiError as error:
            stream.spec = spec
            stream.fail(error.code, error.detail)

    async def release(self, stream_id: str, *, removed: bool) -> None:
        """Stop an adopted stream: it publishes and counts no more. `removed`: it is nobody's any more."""
        stream = self._streams.pop(stream_id, None)
        if stream is None:
            return
        with contextlib.suppress(NotReady):
            await _done(self._worker.remove(stream_id))
        del self._rows[stream_id]
        await kept(self._store.remove_stream(stream_id))
        stream.end_subscriptions()
        await asyncio.to_thread(self._adapts_no_more, stream, removed)
        stream.close(timeout_s=0)
        if removed:
            await asyncio.to_thread(self._forget, stream_id)

    async def check(self, spec: StreamSpec) -> Address:
        """Return the address of a stream that this service could run. Raises Refused or NotReady."""
        self._check_mode(spec.lane.mode)
        self._check_classes(spec.zones)
        self._check_adapt(spec)

        def look() -> Address:
            address = self._policy.check(spec.url, spec.credentials)
            open_source(address.opened, settings=replace(SOURCE_SETTINGS, resolve=address.resolve)).close()
            return address

        return await self._in_time(look, spec.id)

    async def view(self, stream_id: str) -> StreamView:
        """Return a stream as the API shows it. Raises NotFound."""
        return self.get(stream_id).view()

    async def views(self) -> list[StreamView]:
        """Return all streams as the API shows them, oldest first."""
        return [stream.view() for stream in self.all()]

    def get(self, stream_id: str) -> Stream:
        """Return a stream. Raises NotFound."""
        try:
            return self._streams[stream_id]
        except KeyError:
            raise stream_not_found(stream_id) from None

    def all(self) -> list[Stream]:
        """Return all streams, oldest first."""
        return list(self._streams.values())

    def etag(self, stream_id: str) -> str:
        """Return the name of the stream's present specification, for ETag and If-Match. Raises NotFound."""
        self.get(stream_id)
        row = self._rows[stream_id]
        return f'"{row.position}-{row.version}"'

    async def close(self) -> None:
        """Stop reading everywhere; what was read may still be tracked."""
        self._closed = True
        await asyncio.to_thread(_close_all, self.all())

    async def _resume(self, stream: Stream, number: int) -> None:
        try:
            if number >= self._most:
                raise self._too_many()
            self._check_mode(stream.spec.lane.mode)
            address, reader = await self._open(stream, stream.spec)
            await self._reopen(stream, address, reader)
        except NotReady:
            return  # the service ends before it has begun
        except ApiError as error:
            stream.fail(error.code, error.detail)
        except Exception:  # one stream's fault must not keep the others from starting
            log.exception("stream %s cannot be resumed", stream.id, extra=fields("resume_failed", stream_id=stream.id))
            stream.fail("internal_error", "the service cannot resume this stream; its log has the reason")
        else:
            extra = fields("stream_resumed", stream_id=stream.id)
            log.info("stream %s resumed: %s", stream.id, address.shown, extra=extra)

    async def _add_first(self, camera: NewStream) -> None:
        known = self._streams.get(camera.id or "")
        if known is None:
            await self.add(camera, from_settings=True)
        elif known.spec.url != camera.url:
            if not self._rows[known.id].from_settings:
                raise Conflict("stream_exists", "a stream with this id was posted before; it stays as it is")
            await self.update(known.id, StreamPatch(url=camera.url))

    async def _reopen(self, stream: Stream, address: Address, reader: FrameReader) -> None:
        await _done(self._worker.remove(stream.id))
        await asyncio.to_thread(stream.close)
        stream.adopt(address, reader)
        await _done(self._worker.add(stream))
        stream.start()
        await asyncio.to_thread(self._adapts, stream)

    async def _apply(self, stream: Stream, spec: StreamSpec, opened: tuple[Address, FrameReader] | None) -> None:
        """Put a changed spec in force, with another reader where it has another address."""
        zones = stream.spec.zones
        stream.spec = spec
        if spec.zones != zones:
            await asyncio.to_thread(stream.counter.set_zones, spec.zones)
        if opened is not None:
            await self._reopen(stream, *opened)
        else:
            await _done(self._worker.change(stream))
            await asyncio.to_thread(self._adapts, stream)

    async def _open(self, stream: Stream, spec: StreamSpec) -> tuple[Address, FrameReader]:
        """Look at the address and what it leads to, which may take its time. Raises Refused."""

        def look() -> tuple[Address, FrameReader]:
            address = self._policy.check(spec.url, spec.credentials)
            return address, stream.reader(address)

        return await self._in_time(look, stream.id)

    async def _in_time(self, look: Callable[[], Result], stream_id: str) -> Result:
        """Return what `look` finds. Raises Refused."""
        try:
            return await in_time(look, f"open {stream_id}")
        except SourceError as error:
            raise Refused(error.code, str(error)) from None
        except TimeoutError:
            detail = "the file does not answer; is it on a disk that is gone?"
            raise Refused("file_hangs", detail) from None

    def _changed(
        self, stream_id: str, patch: StreamPatch, if_match: str | None
    ) -> tuple[Stream, StreamSpec, StreamSpec]:
        """A stream, as it is and as it shall be. Raises NotFound, PreconditionFailed, Refused or NotReady."""
        stream = self.get(stream_id)
        self._check_open()
        check_version(self.etag(stream_id), if_match)
        spec = stream.spec.changed(patch, self._lane)
        self._check_mode(spec.lane.mode)
        if "zones" in patch.model_fields_set:  # those of before may be another pair's
            self._check_classes(spec.zones)
        if patch.adapt:
            self._check_adapt(spec)
        return stream, stream.spec, spec

    def _known(self, stream_id: str, new: NewStream) -> Stream | None:
        """The stream that exists already and is as asked. Raises Conflict."""
        known = self._streams.get(stream_id)
        if known is not None and (differing := known.spec.differences(new)):
            raise stream_differs(stream_id, differing)
        return known

    def _too_many(self) -> LimitReached:
        return LimitReached(
            "too_many_streams", f"this service takes {self._most} streams; DELETE one, or raise --max-streams"
        )

    def _check_open(self) -> None:
        if self._closed:
            raise NotReady("shutting_down", "the service is shutting down")

    def _check_mode(self, mode: Mode) -> None:
        if mode not in self._worker.modes:
            has = ", ".join(self._worker.modes)
            raise Refused("mode_not_available", f"no model file here for mode {mode!r}; there is one for {has}")

    def _check_adapt(self, spec: StreamSpec) -> None:
        if not spec.adapt:
            return
        if "atttrack" not in self._worker.modes:
            raise Refused("adapt_not_available", "`adapt` has the student with a prior learn; there is none here")
        check_learning()

    def _check_classes(self, zones: Sequence[Polygon | Line]) -> None:
        """A zone for what is never seen here would count nothing for ever."""
        seen = self._worker.classes
        for zone in zones:
            if unseen := [one for one in zone.classes or () if one not in seen]:
                detail = f"zone {zone.id!r} asks for class {unseen[0]!r}; the networks here see {', '.join(seen)}"
                raise Refused("class_not_seen", detail)


def _close_all(streams: list[Stream]) -> None:
    for stream in streams:
        stream.close(timeout_s=0)
    deadline = time.monotonic() + CLOSE_S
    for stream in streams:
        stream.close(max(0.0, deadline - time.monotonic()))


async def _done(command: "Future[None]") -> None:
    """Wait until the device thread has done it."""
    try:
        await asyncio.wrap_future(command)
    except WorkerStopped:
        raise NotReady("shutting_down", "the service is shutting down") from None
