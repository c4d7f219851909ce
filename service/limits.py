"""Limits on what a client may send, before anything else looks at it: 413, 414 and 431 instead of work."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from service.errors import ApiError, BodyTooLarge, HeadersTooLarge, Malformed, UrlTooLong, problem_response

BODY = 64 * 1024
"""Bytes of a request's body; the largest honest one holds the zones of a stream."""
URL = 4096
"""Bytes of path and query; the address of a camera travels in the body."""
HEADERS = 16 * 1024
"""Bytes of all headers together."""
WS_MESSAGE = 16 * 1024
"""Bytes of a WebSocket message from a client, which has nothing to say; closes with 1009."""


class RequestLimits:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with a problem."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        try:
            _check_head(scope)
        except ApiError as error:
            await refuse(error, scope, receive, send)
            return
        await self._app(scope, _counted(receive) if scope["type"] == "http" else receive, send)


async def refuse(error: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request, or the opening of a WebSocket, with a problem."""
    answer = problem_response(error.problem(), {**error.headers, "Connection": "close"})
    if scope["type"] == "websocket":
        await WebSocket(scope, receive, send).send_denial_response(answer)
    else:
        await answer(scope, receive, send)


def _check_head(scope: Scope) -> None:
    if not scope["path"].isprintable():  # neither control characters nor what is no UTF-8
        raise Malformed("invalid_path", "a path has no control characters and is UTF-8")
    if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > URL:
        raise UrlTooLong("url_too_long", f"path and query have at most {URL} bytes")
    if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADERS:
        raise HeadersTooLarge("headers_too_large", f"all headers together have at most {HEADERS} bytes")
    for name, value in scope["headers"]:
        if name == b"content-length" and (not value.isdigit() or len(value) > 9 or int(value) > BODY):
            raise _too_large()


def _counted(receive: Receive) -> Receive:
    """Bodies in pieces do not tell their length before."""
    seen = 0

    async def counting() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > BODY:  # what reads bodies takes any other exception for a mistake in the JSON
            raise HTTPException(BodyTooLarge.status, _too_large().detail)
        return message

    return counting


def _too_large() -> BodyTooLarge:
    return BodyTooLarge("body_too_large", f"a body has at most {BODY} bytes")
