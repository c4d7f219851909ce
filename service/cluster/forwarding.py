"""Forwarding: a gateway's versions of routes. Each keeps its path, its parameters, its document and who may call it;
what only the stream's node knows is asked there."""

import inspect
from collections.abc import AsyncIterator, Callable, Collection
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response, StreamingResponse
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.requests import HTTPConnection

from service.cluster.asking import NodeAnswer, Question
from service.cluster.bus import BusAway
from service.cluster.gateway import Gateway
from service.errors import NotFound, NotReady
from service.routes.tracks import EVENT_STREAM, LONGEST_EVENT_ID

PASSED_ON = ("accept", "content-type", "last-event-id")
"""Headers of a request that its node hears of; keys and cookies are not among them."""
LEFT_OUT = ("content-length", "transfer-encoding")
Endpoint = Callable[..., Any]


def gateway_of(connection: HTTPConnection) -> Gateway:
    """The gateway behind an application."""
    gateway: Gateway = connection.app.state.runtime
    return gateway


def rebuilt(router: APIRouter, paths: Collection[str], *, follows: bool = False) -> APIRouter:
    """Return `router` with the GET and POST routes of `paths` forwarded to the node that has the stream.

    `follows`: its routes give tracks; they are brought here while an answer lasts.
    """
    made = APIRouter(tags=list(router.tags))
    for route in router.routes:
        more = [FOLLOWS] if follows else []
        if isinstance(route, APIWebSocketRoute):
            made.add_api_websocket_route(
                route.path, route.endpoint, route.name, dependencies=[*route.dependencies, *more]
            )
        elif isinstance(route, APIRoute):
            methods = route.methods or set()
            forwards = route.path in paths and methods <= {"GET", "POST"}
            made.add_api_route(
                route.path,
                _forwarding(route.endpoint, events_stay=follows) if forwards else route.endpoint,
                methods=list(methods),
                dependencies=[*route.dependencies, *more],
                response_model=None if forwards else route.response_model,
                responses=route.responses,
                status_code=route.status_code,
                summary=route.summary,
                description=route.description,
                response_class=Response if forwards else route.response_class,
                name=route.name,
            )
    return made


def _forwarding(endpoint: Endpoint, *, events_stay: bool) -> Endpoint:
    """An endpoint with the same parameters that asks the node; `events_stay`: but not for server-sent events."""

    async def forward(request: Request, **parameters: Any) -> Any:
        if events_stay and EVENT_STREAM in request.headers.get("accept", ""):
            if "request" in inspect.signature(endpoint).parameters:
                parameters["request"] = request
            return await endpoint(**parameters)
        return await _asked(request)

    signature = inspect.signature(endpoint)
    theirs = [one for one in signature.parameters.values() if one.name != "request"]
    own = inspect.Parameter("request", inspect.Parameter.KEYWORD_ONLY, annotation=Request)
    keyword = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in theirs]
    forward.__signature__ = signature.replace(parameters=[own, *keyword])  # type: ignore[attr-defined]  # FastAPI reads it
    forward.__doc__, forward.__name__ = endpoint.__doc__, endpoint.__name__
    return forward


async def _asked(request: Request) -> Response:
    stream_id = request.path_params["stream_id"]
    gateway = gateway_of(request)
    gateway.streams.get(stream_id)
    headers = [(name, request.headers[name]) for name in PASSED_ON if name in request.headers]
    path = request.scope["path"]
    question = Question(request.method, path, request.url.query, headers, await request.body())
    try:
        answer = await gateway.streams.ask_owner(stream_id, question)
        if answer.status == NotFound.status and await gateway.streams.settle(stream_id):
            answer = await gateway.streams.ask_owner(stream_id, question)  # a moment ago another node had it
    except BusAway as away:
        raise NotReady("node_away", f"{away}; it is there again in seconds, if there is room") from None
    return _response(answer)


def _response(answer: NodeAnswer) -> Response:
    headers = {name: value for name, value in answer.headers if name not in LEFT_OUT}
    return StreamingResponse(_until_lost(answer), answer.status, headers)


async def _until_lost(answer: NodeAnswer) -> AsyncIterator[bytes]:
    async for piece in answer.pieces:
        yield piece


async def _follow(connection: HTTPConnection) -> AsyncIterator[None]:
    """Bring the streams of this request here for as long as its answer lasts, and what they sent before, if asked."""
    gateway = gateway_of(connection)
    query = connection.query_params
    stream_id = connection.path_params.get("stream_id")
    named = query.get("streams")
    wanted = [stream_id] if stream_id else None if named is None else [one for one in named.split(",") if one]
    known = wanted if wanted is None else [one for one in wanted if gateway.knows(one)]
    from_seq = _from_seq(connection)
    with gateway.follower.wanting(known):
        await gateway.follower.subscribe(known)
        if stream_id and known and from_seq is not None:
            await gateway.refill(stream_id, from_seq)
        yield


def _from_seq(connection: HTTPConnection) -> int | None:
    last = connection.headers.get("last-event-id", "")
    if last.isdecimal() and len(last) < LONGEST_EVENT_ID:
        return int(last) + 1
    text = connection.query_params.get("from_seq", "")
    return int(text) if text.isdecimal() and len(text) < LONGEST_EVENT_ID else None


FOLLOWS: Any = Depends(_follow)
