"""Node: one device thread with its streams, as a part of a cluster. Starts as `atttrack node`."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, FastAPI, Query
from fastapi.responses import Response
from pydantic import BaseModel

from service.auth.guard import Guard
from service.auth.keys import KeyRing
from service.auth.stored_keys import StoredKeys
from service.cluster.asking import Answers
from service.cluster.bus import Bus
from service.cluster.carrier import Carrier
from service.cluster.control import Control
from service.cluster.counts import LeasedCounts
from service.cluster.options import ClusterOptions
from service.cluster.room import Room
from service.cluster.subjects import SiteSubjects
from service.ending import end
from service.errors import NotFound, install_handlers
from service.logs import fields
from service.readiness import Reason, StartProgress
from service.routes import export, health, metrics, sinks, streams, timeline, tracks, video, zones
from service.routes.dependencies import Needs
from service.runtime import VERSION, Runtime
from service.settings import Settings
from service.streams.spec import StreamSpec
from service.streams.worker import Pipeline
from service.tracks.video import FeedClosed, Style

log = logging.getLogger(__name__)
Result = TypeVar("Result")

SETTLE_S = 3.0
"""How long a gateway waits for a change to be in force."""
MOST_KEPT = 100_000
PICTURE_S = 3.0
"""Longest wait for a newer picture."""


class Node:
    """Implements `service.backend.Backend` for the routes that tell of its health; all else is asked over NATS."""

    def __init__(self, settings: Settings, options: ClusterOptions, build: Callable[[StartProgress], Pipeline]) -> None:
        self.counts = LeasedCounts()
        self.runtime = Runtime(settings, build, self.counts)
        self.subjects = SiteSubjects(options.site)
        self.name = options.name
        self.control = Control(options.bus, options.site, options.name, _Runner(self), self.counts)
        self._tracks = Bus(options.bus)
        self._asked = Bus(options.bus, begin=self._listen)
        self._app = answering(self)
        self._answers: Answers
        self._carrier: Carrier
        self._tasks: list[asyncio.Task[None]] = []
        self._draining: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin to load the networks; take streams once they are loaded."""
        await self.runtime.open()
        self._answers = Answers(self._asked, self._app)
        self._carrier = Carrier(self._tracks, self.runtime.hub, self.subjects, self.name)
        forever: list[Coroutine[Any, Any, None]] = [self._tracks.run(), self._asked.run(), self._begin()]
        self._tasks = [asyncio.create_task(one) for one in forever]

    async def drain(self) -> None:
        """Give all streams back, with their counts, and end; once."""
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain())
        await asyncio.shield(self._draining)

    async def _drain(self) -> None:
        await asyncio.to_thread(self.control.leave)
        await self.runtime.drain()
        await self._carrier.close()
        self._answers.close()
        await end(*self._tasks)

    async def _begin(self) -> None:
        while not self.runtime.readiness.started:
            if self.failure is not None:
                return
            await asyncio.sleep(0.05)
        self.control.start()
        log.info("node %s takes streams of site %s", self.name, self.subjects.site, extra=fields("node_ready"))

    async def _listen(self, bus: Bus) -> None:
        await bus.subscribe(self.subjects.ask(self.name), self._answers.take)
        await bus.barrier()

    @property
    def notice(self) -> str | None:
        """What the page says of this machine."""
        return self.runtime.notice

    @property
    def failure(self) -> Exception | None:
        """What ended the start, or the loss of the device: the process should end with it."""
        return self.runtime.failure

    @property
    def readiness(self) -> "NodeReadiness":
        """Whether it takes streams."""
        return NodeReadiness(self)

    @property
    def streams(self) -> Any:
        """What runs here."""
        return self.runtime.registry

    @property
    def hub(self) -> Any:
        """Where tracks go."""
        return self.runtime.hub

    @property
    def metrics(self) -> Any:
        """For Prometheus."""
        return self.runtime.metrics

    @property
    def stalled(self) -> bool:
        """Whether the device thread gives no sign of life."""
        return self.runtime.stalled


class NodeReadiness:
    """Ready when the networks are loaded, NATS is there and the node does not drain."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def started(self) -> bool:
        """Whether the networks are loaded."""
        return self._node.runtime.readiness.started

    @property
    def reasons(self) -> list[Reason]:
        """What stands in the way."""
        reasons = self._node.runtime.readiness.reasons
        control = self._node.control
        if self.started and not control.connected:
            reasons.append(Reason("nats_away", control.error or "NATS cannot be reached"))
        if control.draining:
            reasons.append(Reason("draining", "the node leaves its streams to others"))
        return reasons


class _Runner:
    """Implements `service.cluster.control.StreamRunner`: carries its calls into the event loop of the streams."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._room = Room()

    async def adopt(self, spec: StreamSpec, created_at: float, run: int) -> None:
        await self._there(self._node.runtime.registry.adopt(spec, created_at, run))

    async def change(self, spec: StreamSpec) -> None:
        await self._there(self._node.runtime.registry.become(spec))

    async def release(self, stream_id: str, *, removed: bool) -> None:
        await self._there(self._node.runtime.registry.release(stream_id, removed=removed))

    def offer(self) -> dict[str, Any]:
        runtime = self._node.runtime
        running = len(runtime.registry.all())
        self._room.observe(time.monotonic(), runtime.worker.busy_s, running)
        stalled = runtime.stalled
        return {
            "capacity": 0 if stalled else runtime.settings.max_streams,
            "weight": self._room.weight,
            "load": round(self._room.load, 3),
            "version": VERSION,
            "device": os.environ.get("CUDA_VISIBLE_DEVICES") or runtime.settings.device,
        }

    async def _there(self, act: Coroutine[Any, Any, Result]) -> Result:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(act, self._node.runtime.loop))


class Checked(BaseModel):
    """What a node found of an address that it could open."""

    shown: str
    has_credentials: bool


class SpecQuestion(BaseModel):
    """A stream that a gateway asks about."""

    id: str
    document: dict[str, Any]


def answering(node: Node) -> FastAPI:
    """The application that gateways ask over NATS: what only the process knows that runs a stream."""
    app = FastAPI(openapi_url=None)
    settings = node.runtime.settings.model_copy(update={"requests_per_s": 1e9, "host": "127.0.0.1"})
    router = APIRouter(prefix="/node", dependencies=[Needs("admin")])

    @router.post("/check")
    async def check(asked: SpecQuestion) -> Checked:
        address = await node.runtime.registry.check(StreamSpec.from_document(asked.id, asked.document))
        return Checked(shown=address.shown, has_credentials=address.has_credentials)

    @router.get("/settled/{stream_id}")
    async def settled(stream_id: str, revision: Annotated[int, Query()]) -> bool:
        deadline = time.monotonic() + SETTLE_S
        while (there := node.control.shown(stream_id)) < revision and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        return there >= revision

    @router.get("/picture/{stream_id}")
    async def picture(stream_id: str, style: Style, after: Annotated[int, Query()]) -> Response:
        feed = node.runtime.registry.get(stream_id).feed
        try:
            async with asyncio.timeout(PICTURE_S):
                made = await feed.newest(style) if after < 0 else await feed.newer_than(after, style)
        except (TimeoutError, FeedClosed):
            made = None
        if made is None:
            raise NotFound("no_frame_yet", "no frame of this stream was tracked yet; its `state` tells why")
        return Response(made.jpeg, media_type="image/jpeg", headers={"X-Seq": str(made.seq)})

    @router.get("/history/{stream_id}")
    async def history(stream_id: str, from_seq: Annotated[int, Query()]) -> Response:
        kept = node.runtime.hub.history(node.runtime.registry.get(stream_id).id).last(MOST_KEPT)
        return Response(b"\n".join(one.encoded for one in kept if one.seq >= from_seq))

    @router.post("/drain")
    async def drain(on: Annotated[bool, Query()] = True) -> None:
        node.control.drain(on)

    app.include_router(router)
    for routes in (streams, tracks, video, timeline, export, sinks, zones, metrics):
        app.include_router(routes.router)
    install_handlers(app)
    app.state.runtime = node.runtime
    app.state.guard = _open_guard(node, settings)
    return app


def health_app(node: Node) -> FastAPI:
    """The application on the node's own port: whether it is alive, and its metrics."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await node.open()
        yield
        await node.drain()

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    for routes in (health, metrics):
        app.include_router(routes.router)
    install_handlers(app)
    app.state.runtime = node
    app.state.guard = _open_guard(node, node.runtime.settings)
    return app


def _open_guard(node: Node, settings: Settings) -> Guard:
    """Nodes know nothing of users: the server says who may ask here, and their port is on loopback alone."""
    node.runtime.open_store()
    return Guard(KeyRing(StoredKeys(node.runtime.store)), settings)
