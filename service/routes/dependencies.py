"""How routes reach the Runtime, and how each declares who may call it.

Every route names its scope, or is PUBLIC; `create_app` refuses to build a service with a route that does neither:

    @router.get("/streams", summary="List the streams", dependencies=[Needs("read")])
    async def list_streams(caller: Annotated[Caller, Needs("read")]): ...    # where the route filters by caller

A path parameter `stream_id` is checked against the streams of the caller's key by `Needs` itself. Streams named
anywhere else (query, body) are the route's to check, with `caller.sees(stream_id)`.
"""

from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends
from fastapi.routing import RouteContext, iter_route_contexts
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute

from service.auth.caller import Caller, Scope
from service.auth.guard import Guard
from service.auth.subscriptions import Seat
from service.backend import ServiceBackend, Streams
from service.errors import Forbidden, NotReady, stream_not_found
from service.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Permission:
    """Dependency that lets a caller with `scope` through, and returns it."""

    scope: Scope
    all_streams: bool = False
    """Refuse keys that are limited to some streams: the answer tells of all of them."""

    async def __call__(self, connection: HTTPConnection) -> Caller:
        """Return the caller. Raises Unauthorized, Forbidden, or NotFound for a stream that this key may not see."""
        caller = await _guard(connection).identify(connection)
        if not caller.may(self.scope):
            raise Forbidden("scope_too_small", f"this needs a key with scope {self.scope}, yours has {caller.scope}")
        if self.all_streams and caller.streams is not None:
            raise Forbidden("key_limited", "this tells of all streams; your key is limited to some")
        stream_id = connection.path_params.get("stream_id")
        if stream_id is not None and not caller.sees(stream_id):
            raise stream_not_found(stream_id)
        connection.state.caller = caller
        return caller


def Needs(scope: Scope, *, all_streams: bool = False) -> Any:
    """Declare who may call a route."""
    return Depends(Permission(scope, all_streams))


async def _public() -> None:
    """Nothing is asked."""


PUBLIC = Depends(_public)
"""Declares a route that anybody may call: the page, and the signs of life for load balancers."""


def undeclared(routes: Iterable[BaseRoute]) -> Iterator[RouteContext]:
    """Routes, and whatever else is mounted, that say neither who may call them nor that everybody may."""
    for route in iter_route_contexts(list(routes)):
        dependant = getattr(route, "dependant", None)
        if dependant is None or not any(_declares(one.call) for one in dependant.dependencies):
            yield route


def _declares(call: object) -> bool:
    return isinstance(call, Permission) or call is _public


async def _subscribes(connection: HTTPConnection) -> AsyncIterator[None]:
    caller: Caller = connection.state.caller  # Needs stands before this
    stream_id = connection.path_params.get("stream_id")
    listed = [stream_id] if stream_id else connection.query_params.get("streams", "").split(",")
    with _guard(connection).subscriptions.hold(caller, {one for one in listed if one}) as seat:
        connection.state.seat = seat
        yield


SUBSCRIBES = Depends(_subscribes)
"""Declares, after Needs, a route whose answer lasts: it counts against the limits on subscribers, and ends with the
seat that it finds by `SeatDependency`."""


def _guard(connection: HTTPConnection) -> Guard:
    guard: Guard = connection.app.state.guard
    return guard


def _seat(connection: HTTPConnection) -> Seat:
    seat: Seat = connection.state.seat
    return seat


SeatDependency = Annotated[Seat, Depends(_seat)]
GuardDependency = Annotated[Guard, Depends(_guard)]


def _backend(connection: HTTPConnection) -> ServiceBackend:
    backend: ServiceBackend = connection.app.state.runtime
    return backend


def _streams(connection: HTTPConnection) -> Streams:
    return _backend(connection).streams


def _runtime(connection: HTTPConnection) -> Runtime:
    runtime: Runtime = connection.app.state.runtime
    return runtime


async def _started(connection: HTTPConnection) -> None:
    readiness = _backend(connection).readiness
    if not readiness.started:
        raise NotReady("not_ready", "; ".join(reason.detail for reason in readiness.reasons))


STARTED = Depends(_started)
"""For routes that need the networks. Raises NotReady while they load."""

BackendDependency = Annotated[ServiceBackend, Depends(_backend)]
StreamsDependency = Annotated[Streams, Depends(_streams)]
RuntimeDependency = Annotated[Runtime, Depends(_runtime)]
"""For what only the process knows that runs the stream."""
