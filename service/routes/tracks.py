"""WebSocket /streams/{id}/tracks: one track message per frame, as JSON text."""

import asyncio
import contextlib

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from service.errors import NotFound, problem_response
from service.hub import HubClosed, Subscription
from service.routes.dependencies import Needs, RuntimeDependency

router = APIRouter(tags=["tracks"])


@router.websocket("/streams/{stream_id}/tracks", dependencies=[Needs("read")])
async def tracks(socket: WebSocket, stream_id: str, runtime: RuntimeDependency) -> None:
    """Send every message of the stream from now on; what a slow client misses is told in `gap`."""
    try:
        runtime.registry.get(stream_id)
    except NotFound as error:
        await socket.send_denial_response(problem_response(error.problem()))
        return
    subscription = runtime.hub.subscribe(stream_id)
    try:
        await socket.accept()
        await _send_until_either_leaves(socket, subscription)
    finally:
        runtime.hub.unsubscribe(stream_id, subscription)


async def _send_until_either_leaves(socket: WebSocket, subscription: Subscription) -> None:
    sender = asyncio.create_task(_send(socket, subscription))
    listener = asyncio.create_task(_wait_for_goodbye(socket))
    try:
        await asyncio.wait({sender, listener}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sender, listener):
            task.cancel()
        await asyncio.gather(sender, listener, return_exceptions=True)


async def _send(socket: WebSocket, subscription: Subscription) -> None:
    with contextlib.suppress(WebSocketDisconnect):
        try:
            while True:
                await socket.send_text((await subscription.get()).decode())
        except HubClosed as closed:
            await socket.close(closed.code, closed.reason)


async def _wait_for_goodbye(socket: WebSocket) -> None:
    """Clients have nothing to say; whatever they send is ignored until they leave."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
