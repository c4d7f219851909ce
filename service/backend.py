"""Backend: what routes ask that work the same in front of this process's streams and in front of a cluster's."""

from typing import Protocol

from service.metrics import Metrics
from service.readiness import Reason
from service.streams.schema import NewStream, StreamPatch, StreamView
from service.streams.spec import StreamSpec
from service.tracks.hub import TrackHub
from service.tracks.video import EncodedPicture, Style


class Feed(Protocol):
    """Pictures of one stream."""

    async def newer_than(self, seq: int, style: Style) -> EncodedPicture:
        """Wait for a picture after `seq` (0: any). Raises FeedClosed."""
        ...

    async def newest(self, style: Style) -> EncodedPicture | None:
        """Return the newest frame's picture, None before the first frame."""
        ...


class KnownStream(Protocol):
    """One stream, wherever it runs."""

    @property
    def id(self) -> str: ...
    @property
    def spec(self) -> StreamSpec: ...
    @property
    def feed(self) -> Feed: ...


class Streams(Protocol):
    """All streams. The errors are those of `service.streams.registry.StreamRegistry`."""

    async def add(self, new: NewStream, idempotency_key: str | None = None) -> tuple[KnownStream, bool]: ...
    async def update(self, stream_id: str, patch: StreamPatch, if_match: str | None = None) -> KnownStream: ...
    async def remove(self, stream_id: str, if_match: str | None = None) -> None: ...
    async def view(self, stream_id: str) -> StreamView: ...
    async def views(self) -> list[StreamView]: ...
    def get(self, stream_id: str) -> KnownStream: ...
    def etag(self, stream_id: str) -> str: ...


class Startup(Protocol):
    """Whether it takes streams, and what stands in the way."""

    @property
    def started(self) -> bool: ...
    @property
    def reasons(self) -> list[Reason]: ...


class ServiceBackend(Protocol):
    """What an application stands in front of."""

    @property
    def readiness(self) -> Startup: ...
    @property
    def streams(self) -> Streams: ...
    @property
    def hub(self) -> TrackHub: ...
    @property
    def metrics(self) -> Metrics: ...
    @property
    def stalled(self) -> bool:
        """Whether it gives no sign of life."""
        ...

    @property
    def notice(self) -> str | None:
        """What whoever looks at the streams should know of this machine."""
        ...

    @property
    def failure(self) -> Exception | None:
        """What ended the start; the process should end with it."""
        ...

    async def open(self) -> None: ...
    async def drain(self) -> None: ...
