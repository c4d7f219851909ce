"""create_app: routes, error answers and the web page around one Runtime."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from edge.pipeline.backend import open_backend
from edge.pipeline.config import PipelineSettings
from edge.pipeline.pipeline import TrackingPipeline
from engines.plan import plans_folder
from engines.plan_builds import BuildCommand, PlanBuilds
from service.auth.browser import BrowserGuard
from service.auth.guard import Guard
from service.auth.keys import KeyRing
from service.auth.stored_keys import StoredKeys
from service.backend import ServiceBackend
from service.errors import COMMON_PROBLEMS, Problem, install_handlers
from service.limits import RequestLimits
from service.proxy import ProxyPrefix
from service.readiness import StartProgress
from service.routes import (
    adaptation,
    export,
    health,
    keys,
    metrics,
    schemas,
    sinks,
    streams,
    tickets,
    timeline,
    tracks,
    video,
    zones,
)
from service.routes.dependencies import PUBLIC, undeclared
from service.runtime import VERSION, Runtime
from service.settings import Settings
from service.streams.worker import Pipeline
from service.tracks.messages import TrackMessage

STATIC = Path(__file__).parent / "static"
DESCRIPTION = """
People in live video, tracked in real time: a heavy teacher network sees every k-th frame, a light student the rest.

Errors are problems (RFC 9457) with a stable `code`, and a `detail` that says what was expected and what came.

## Tracks by WebSocket

Post a stream, then open `ws://HOST/streams/{stream_id}/tracks`. Each frame is one text message: a `TrackMessage`,
described under Schemas and in `/schemas/tracks-1.json`. `ws://HOST/tracks` follows all streams, `?streams=a,b` some.

| query | meaning |
|---|---|
| `from_seq=120` | go on from that message of the stream, as far as it is kept; what was lost is told in `gap` |
| `fields=id,bbox` | only these fields, besides those that every message has |
| `zones=hall` | only people inside, and the events of these zones |
| `classes=car` | only tracks of these classes, and their events; where the networks see more than people |
| `max_rate=5` | at most so many messages per second of each stream |
| `ticket=...` | who asks, where no header can be sent: see `POST /tickets`; a header is `Authorization: Bearer KEY` |

A slow client loses its oldest messages and is told how many. The service closes with 1000 when the stream is removed,
and with 1001 when it shuts down. A refused handshake is answered with a problem, as any other request.

    websocat 'ws://127.0.0.1:8000/streams/door/tracks?max_rate=5'
"""
ROUTES = (streams, tracks, video, timeline, health, export, sinks, schemas, zones, adaptation, metrics, keys, tickets)
PUBLIC_PATHS = ("/docs", "/docs/oauth2-redirect", "/openapi.json", "/static-offline-docs", "/static")
"""Made by FastAPI, and folders of files, which take no dependency; they tell nothing that the source does not tell."""
PAGE_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; connect-src 'self'; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
PLAN_BUILDER = "export.to_plan"
"""Started as a program with a process of its own: the service imports nothing of what it needs."""


def create_app(settings: Settings, runtime: Runtime | None = None) -> FastAPI:
    """Return the application. Nothing is loaded before its lifespan begins; it listens while the networks load."""
    runtime = runtime or Runtime(settings, lambda progress: build_pipeline(settings, progress))

    def guard() -> Guard:
        return Guard(KeyRing(StoredKeys(runtime.store), settings.bootstrap_key), settings)

    return assemble(settings, runtime, guard, [one.router for one in ROUTES])


def assemble(
    settings: Settings, backend: ServiceBackend, make_guard: Callable[[], Guard], routers: Iterable[APIRouter]
) -> FastAPI:
    """Return the application of `routers` in front of `backend`, which it opens; the guard is made after that."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await backend.open()
        guard = app.state.guard = make_guard()
        watching = asyncio.create_task(guard.watch())
        yield
        watching.cancel()
        await backend.drain()

    app = FastAPIOffline(
        docs_url="/docs",
        redoc_url=None,
        redirect_slashes=False,  # a redirect would name whatever host the client named
        title="AttTrack",
        version=VERSION,
        description=DESCRIPTION,
        lifespan=lifespan,
    )
    app.state.runtime = backend
    install_handlers(app)
    app.add_middleware(BrowserGuard, is_open=lambda: app.state.guard.open, origins=settings.origins)
    app.add_middleware(RequestLimits)
    app.add_middleware(ProxyPrefix, root_path=settings.root_path)
    for router in routers:
        app.include_router(router, responses=COMMON_PROBLEMS)
    _add_page(app)
    _document_messages(app)
    _refuse_undeclared(app)
    return app


def build_pipeline(settings: Settings, progress: StartProgress) -> Pipeline:
    """Load the networks of `settings` and put a pipeline around them."""
    progress("loading_models", f"loading the networks of the pair {settings.pair!r}", None)
    builds = plan_builds(settings)
    backend = open_backend(
        settings.models,
        settings.input_size,
        settings.device,
        settings.lane.mode,
        settings.pair,
        plans=settings.plans_dir,
        builds=builds,
        max_batch=settings.max_streams,
        teacher_size=settings.teacher_input_size,
    )
    if builds is not None:
        builds.start()
    return TrackingPipeline(backend, PipelineSettings(settings.lane, settings.max_streams))


def plan_builds(settings: Settings) -> PlanBuilds | None:
    """Where missing plans are ordered, None where none shall be built."""
    if settings.build_plans == "off":
        return None
    options = ["--precision", settings.build_plans, "--max-batch", str(settings.max_streams)]
    options += ["--output", str((settings.plans_dir or plans_folder()).resolve())]
    return PlanBuilds(BuildCommand(PLAN_BUILDER, tuple(options)))


def _add_page(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False, dependencies=[PUBLIC])
    async def page() -> FileResponse:
        return FileResponse(STATIC / "index.html", headers={"Content-Security-Policy": PAGE_POLICY})

    app.mount("/static", StaticFiles(directory=STATIC), name="static")


def _refuse_undeclared(app: FastAPI) -> None:
    """Deny by default: no service starts with a route that forgot to say who may call it."""
    forgotten = [str(route.path) for route in undeclared(app.routes) if route.path not in PUBLIC_PATHS]
    if forgotten:
        raise RuntimeError(f"declare Needs(...) or PUBLIC (service/routes/dependencies.py) on: {', '.join(forgotten)}")


def _document_messages(app: FastAPI) -> None:
    """Put the shapes that no HTTP route returns into the OpenAPI schemas: track messages and problems."""
    make_openapi = app.openapi

    def openapi() -> dict[str, object]:
        document = make_openapi()
        models: list[tuple[type[BaseModel], Literal["serialization"]]] = [
            (TrackMessage, "serialization"),
            (Problem, "serialization"),
        ]
        _, extra = models_json_schema(models, ref_template="#/components/schemas/{model}")
        document["components"]["schemas"] |= extra["$defs"]
        document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"key": []}, {}]  # a service without keys asks for none
        return document

    app.openapi = openapi  # type: ignore[method-assign]
