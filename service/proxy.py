"""`ProxyPrefix`: the service below a path of somebody else's host, as a proxy shows it."""

import re
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

HEADER: Final = "x-forwarded-prefix"
_LONGEST = 256
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")


def is_prefix(text: str) -> bool:
    """Whether this is a path such as /cams or /site/cams: it goes into pages as it is, so nothing else may be in it."""
    parts = text.split("/")
    return len(text) <= _LONGEST and _PREFIX.fullmatch(text) is not None and not {".", ".."} & set(parts)


class ProxyPrefix:
    """ASGI middleware: says what our own addresses begin with, and takes that off where the proxy left it on.

    The prefix is the setting's, else the header's: who sends a wrong one gets wrong addresses, and nobody else does.
    """

    def __init__(self, app: ASGIApp, root_path: str = "") -> None:
        self._app, self._root_path = app, root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with the prefix in `root_path`."""
        if scope["type"] in ("http", "websocket"):
            given = Headers(scope=scope).get(HEADER, "").partition(",")[0].strip().rstrip("/")
            prefix = self._root_path or (given if is_prefix(given) else "")
            if prefix:
                path = scope["path"]
                below = path == prefix or path.startswith(prefix + "/")
                scope = {**scope, "root_path": prefix, "path": path if below else prefix + path}
        await self._app(scope, receive, send)
