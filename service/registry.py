"""StreamRegistry: the streams of this service, in memory; a stored registry would keep the same five methods."""

import asyncio
import logging
import secrets
from collections.abc import Callable
from concurrent.futures import Future

from edge.sources.base import SourceError
from service.errors import Conflict, LimitReached, NotReady, Refused, stream_not_found
from service.settings import Settings
from service.stream import Stream, StreamSpec
from service.streams import NewStream
from service.url_policy import Credentials, UrlPolicy
from service.worker import Worker, WorkerStopped

log = logging.getLogger(__name__)


class StreamRegistry:
    """Adds and removes streams; belongs to the event loop."""

    def __init__(self, settings: Settings, worker: Worker, make: Callable[[StreamSpec], Stream]) -> None:
        self._settings = settings
        self._policy: UrlPolicy = settings.url_policy
        self._worker = worker
        self._make = make
        self._streams: dict[str, Stream] = {}
        self._adding = asyncio.Lock()
        self._closed = False

    async def add(self, new: NewStream) -> tuple[Stream, bool]:
        """Return the stream and whether it is new. Raises Refused, Conflict, LimitReached or NotReady."""
        spec = self._spec(new)
        async with self._adding:
            return await self._add(spec)

    async def _add(self, spec: StreamSpec) -> tuple[Stream, bool]:
        known = self._streams.get(spec.id)
        if known is not None:
            if known.spec == spec:
                return known, False
            raise Conflict(
                "stream_exists", f"stream {spec.id!r} exists and differs; DELETE it first or choose another id"
            )
        if self._closed:
            raise NotReady("shutting_down", "the service is shutting down")
        if len(self._streams) >= self._settings.max_streams:
            raise LimitReached("too_many_streams", f"this service takes {self._settings.max_streams} streams")
        try:
            stream = await asyncio.to_thread(self._make, spec)
        except SourceError as error:
            raise Refused(error.code, str(error)) from None
        await _obeyed(self._worker.add(stream))
        self._streams[spec.id] = stream
        stream.start()
        log.info("stream %s added: %s", spec.id, spec.address.shown)
        return stream, True

    def get(self, stream_id: str) -> Stream:
        """Return a stream. Raises NotFound."""
        try:
            return self._streams[stream_id]
        except KeyError:
            raise stream_not_found(stream_id) from None

    def all(self) -> list[Stream]:
        """Return all streams, oldest first."""
        return list(self._streams.values())

    async def remove(self, stream_id: str) -> None:
        """Stop a stream and end its subscriptions. Raises NotFound."""
        stream = self.get(stream_id)
        await _obeyed(self._worker.remove(stream_id))
        if self._streams.pop(stream_id, None) is None:
            raise stream_not_found(stream_id)
        await self._close(stream)
        log.info("stream %s removed", stream_id)

    async def close(self) -> None:
        """Stop reading everywhere; what was read may still be tracked."""
        self._closed = True
        await asyncio.gather(*(asyncio.to_thread(stream.close) for stream in self.all()))

    async def _close(self, stream: Stream) -> None:
        stream.end_subscriptions()
        await asyncio.to_thread(stream.close)

    def _spec(self, new: NewStream) -> StreamSpec:
        given = new.credentials
        credentials = Credentials(given.username, given.password.get_secret_value()) if given else None
        stream_id = new.id or f"stream-{secrets.token_hex(3)}"
        if new.mode not in (None, self._settings.mode):
            detail = f"this service runs mode {self._settings.mode!r}; start one with --mode {new.mode}"
            raise Refused("mode_not_available", detail)
        return StreamSpec(
            id=stream_id,
            name=new.name or stream_id,
            address=self._policy.check(new.url, credentials),
            k=new.k or self._settings.k,
            mode=self._settings.mode,
        )


async def _obeyed(command: "Future[None]") -> None:
    """Wait until the device thread has done it."""
    try:
        await asyncio.wrap_future(command)
    except WorkerStopped:
        raise NotReady("shutting_down", "the service is shutting down") from None
