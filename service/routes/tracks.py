"""Tracks by WebSocket, as server-sent events and as JSON: /streams/{id}/tracks, and /tracks for many streams."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, WebSocket
from fastapi.responses import Response
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from pydantic import BaseModel
from starlette.websockets import WebSocketDisconnect

from service.auth.caller import Caller
from service.auth.subscriptions import Seat, until_ended
from service.backend import ServiceBackend
from service.errors import NotFound, Refused, documented, stream_not_found
from service.routes.dependencies import SUBSCRIBES, BackendDependency, Needs, SeatDependency
from service.tracks.hub import HubClosed, Subscription
from service.tracks.messages import TrackMessage
from service.tracks.views import ALWAYS, MESSAGE_FIELDS, TRACK_FIELDS, View, Viewer

router = APIRouter(tags=["tracks"])

KEEPALIVE_S = 15.0
"""After so long without a message, an event stream gets a comment: it keeps proxies from hanging up, and tells who
has left. WebSockets have pings for that."""
LONGEST_EVENT_ID = 20
"""Digits; no `seq` comes near."""
ENDED_CODE = 1008
"""Policy violation: the key is good for no more, see `service.auth.subscriptions.End`."""
EVENT_STREAM = EventSourceResponse.media_type
EVENT_STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class TrackList(BaseModel):
    """The newest messages of one stream, oldest first."""

    messages: list[TrackMessage]


def _view(
    zones: Annotated[
        str | None, Query(description="Ids of zones, separated by commas: only tracks inside, and events of these.")
    ] = None,
    fields: Annotated[
        str | None,
        Query(
            description=f"Only these fields, separated by commas, besides {', '.join(ALWAYS)}. "
            f"Of tracks: {', '.join(sorted(TRACK_FIELDS))}. Of messages: {', '.join(sorted(MESSAGE_FIELDS))}."
        ),
    ] = None,
    max_rate: Annotated[
        float | None,
        Query(description="Messages per second of each stream, at most; events of those left out come with the next."),
    ] = None,
    classes: Annotated[
        str | None,
        Query(description="Names of classes, separated by commas: only tracks of these, and their events."),
    ] = None,
) -> View:
    try:
        return View.parse(zones, fields, max_rate, classes)
    except ValueError as error:
        raise Refused("invalid_view", str(error)) from None


ViewDependency = Annotated[View, Depends(_view)]
FromSeq = Annotated[
    int | None,
    Query(ge=1, description="Go on from this message; those that are not kept any more are told in `gap`."),
]


@router.websocket("/streams/{stream_id}/tracks", dependencies=[Needs("read"), SUBSCRIBES])
async def follow_stream(
    socket: WebSocket,
    stream_id: str,
    backend: BackendDependency,
    seat: SeatDependency,
    view: ViewDependency,
    from_seq: FromSeq = None,
) -> None:
    """Send every message of the stream from now on; what a slow client misses is told in `gap`."""
    backend.streams.get(stream_id)
    await _serve(socket, backend, seat, backend.hub.subscribe([stream_id], view, from_seq))


@router.websocket("/tracks", dependencies=[Needs("read"), SUBSCRIBES])
async def follow_streams(
    socket: WebSocket,
    caller: Annotated[Caller, Needs("read")],
    backend: BackendDependency,
    seat: SeatDependency,
    view: ViewDependency,
    streams: str | None = None,
) -> None:
    """Send the messages of several streams (`streams=a,b`), or of all, those to come included."""
    if streams is None:
        await _serve(socket, backend, seat, backend.hub.follow(caller.sees, view))
        return
    stream_ids = list(dict.fromkeys(one for one in streams.split(",") if one))
    for stream_id in stream_ids:
        if not caller.sees(stream_id):
            raise stream_not_found(stream_id)
        backend.streams.get(stream_id)
    if not stream_ids:
        raise Refused("invalid_view", "streams names no stream; leave it out to follow all of them")
    await _serve(socket, backend, seat, backend.hub.subscribe(stream_ids, view))


@router.get(
    "/streams/{stream_id}/tracks",
    summary="Newest tracks, or all to come as server-sent events",
    dependencies=[Needs("read"), SUBSCRIBES],
    response_class=Response,
    responses={
        200: {
            "model": TrackList,
            "description": "The newest messages; with `Accept: text/event-stream` all to come, as server-sent events.",
            "content": {EVENT_STREAM: {}},
        },
        **documented(404, 422),
    },
)
async def recent_tracks(
    request: Request,
    stream_id: str,
    backend: BackendDependency,
    seat: SeatDependency,
    view: ViewDependency,
    last: Annotated[int, Query(ge=1, le=100_000, description="So many messages, as far as they are kept.")] = 1,
    from_seq: FromSeq = None,
    last_event_id: Annotated[str | None, Header(description="Sent by browsers that come back.")] = None,
) -> Response:
    """Return the newest messages as JSON; or, to `Accept: text/event-stream`, every message from now on.

    An event's id is the message's `seq`, so a browser resumes by itself where it was interrupted.
    """
    backend.streams.get(stream_id)
    if EVENT_STREAM not in request.headers.get("accept", ""):
        viewer = Viewer(view)
        shown = [one for message in backend.hub.history(stream_id).last(last) if (one := viewer.show(message))]
        return Response(b'{"messages":[%b]}' % b",".join(one.encoded for one in shown), media_type="application/json")
    if last_event_id is not None and last_event_id.isdecimal() and len(last_event_id) < LONGEST_EVENT_ID:
        from_seq = int(last_event_id) + 1
    events = until_ended(seat, _events(backend, stream_id, view, from_seq))
    return EventSourceResponse(events, headers=EVENT_STREAM_HEADERS)


async def _events(backend: ServiceBackend, stream_id: str, view: View, from_seq: int | None) -> AsyncIterator[bytes]:
    """Yield server-sent events until the stream is removed or the client leaves.

    Subscribes by itself, since a generator that is never begun would never unsubscribe.
    """
    try:
        backend.streams.get(stream_id)
    except NotFound:  # removed since the answer began
        return
    subscription = backend.hub.subscribe([stream_id], view, from_seq)
    try:
        yield format_sse_event(retry=1000)
        while True:
            try:
                async with asyncio.timeout(KEEPALIVE_S):
                    message = await subscription.get()
            except TimeoutError:
                yield KEEPALIVE_COMMENT
            else:
                yield format_sse_event(data_str=message.encoded.decode(), id=str(message.seq))
    except HubClosed:
        pass
    finally:
        backend.hub.unsubscribe(subscription)


async def _serve(socket: WebSocket, backend: ServiceBackend, seat: Seat, subscription: Subscription) -> None:
    try:
        await socket.accept()
        await _send_until_either_leaves(socket, seat, subscription)
    finally:
        backend.hub.unsubscribe(subscription)


async def _send_until_either_leaves(socket: WebSocket, seat: Seat, subscription: Subscription) -> None:
    sender = asyncio.create_task(_send(socket, subscription))
    listener = asyncio.create_task(_wait_for_goodbye(socket))
    try:
        any_of: set[asyncio.Future[Any]] = {sender, listener, seat.ended}
        await asyncio.wait(any_of, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sender, listener):
            task.cancel()
        await asyncio.gather(sender, listener, return_exceptions=True)
    if seat.ended.done():
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # gone by itself meanwhile
            await socket.close(ENDED_CODE, seat.ended.result())


async def _send(socket: WebSocket, subscription: Subscription) -> None:
    with contextlib.suppress(WebSocketDisconnect):
        try:
            while True:
                message = await subscription.get()
                await socket.send_text(message.encoded.decode())
        except HubClosed as closed:
            await socket.close(closed.code, closed.reason)


async def _wait_for_goodbye(socket: WebSocket) -> None:
    """Clients have nothing to say; whatever they send is ignored until they leave."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
