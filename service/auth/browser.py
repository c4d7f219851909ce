"""What protects people's browsers: no page of another origin gets through, and answers say what they may be used for.

A browser sends its user's requests from any page that asks. Keys are no cookies, so no other page can use them; what
is left to guard is the service without keys on loopback, which would believe every page, and a page whose name is made
to point here (DNS rebinding).
"""

import ipaddress
from collections.abc import Callable, Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import ApiError, Forbidden, Misdirected
from service.limits import refuse

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
NO_PAGE = "default-src 'none'; frame-ancestors 'none'"
DOCS_PAGE = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "frame-ancestors 'none'"
)
"""/docs begins with a script of its own; it shows nothing but the interface's description."""

_PORTS = {"http": 80, "https": 443}


class BrowserGuard:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, is_open: Callable[[], bool], origins: Collection[str]) -> None:
        """`is_open`: whether nobody is asked for a key; `origins`: pages besides our own, as https://host:port."""
        self._app, self._is_open, self._origins = app, is_open, frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        try:
            self._check(Headers(scope=scope))
        except ApiError as error:
            await refuse(error, scope, receive, _with_headers(send))
            return
        await self._app(scope, receive, _with_headers(send))

    def _check(self, headers: Headers) -> None:
        host = headers.get("host", "")
        if self._is_open() and not _is_loopback(host):
            detail = "a service without keys answers to localhost, 127.0.0.1 and [::1] alone; make a key to open it up"
            raise Misdirected("host_not_allowed", detail)
        origins = headers.getlist("origin")
        foreign = any(one not in self._origins and not _is_own(one, host) for one in origins)
        if foreign or (not origins and _embedded_elsewhere(headers)):
            raise Forbidden("origin_not_allowed", "pages of another origin may not call this service; see --origins")


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            kind = headers.get("content-type", "")
            headers.setdefault("Content-Security-Policy", DOCS_PAGE if kind.startswith("text/html") else NO_PAGE)
            if kind.partition(";")[0] in ("application/json", "application/problem+json"):
                headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return sending


def _embedded_elsewhere(headers: Headers) -> bool:
    """Whether a page of another site asks for it without saying which: as a picture, a script, a frame.

    Following a link to here is no such thing. Browsers alone send these headers, and no page can change them.
    """
    followed = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    return headers.get("sec-fetch-site") in ("cross-site", "same-site") and not followed


def _is_own(origin: str, host: str) -> bool:
    """Whether an origin is that of the Host header: browsers leave a scheme's own port out, proxies may put it in."""
    try:
        page, here = urlsplit(origin), urlsplit(f"//{host}")
        own_port = _PORTS.get(page.scheme)
        port = page.port or own_port
        if own_port is None or page.path or page.username is not None or not page.hostname:
            return False
        same_port = here.port == port if here.port is not None else page.port in (None, own_port)
        return page.hostname == here.hostname and same_port
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    """Whether a Host header names this machine as only this machine can."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
