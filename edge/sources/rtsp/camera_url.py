"""`CameraUrl`: a camera's address, with its secret kept apart from everything that is ever shown."""

import re
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import quote, unquote, urlsplit

from edge.sources.base import SourceError

LONGEST = 2048
SCHEMES = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
"""With their ports."""
_HINT = "; in user names and passwords write / as %2F, # as %23, ? as %3F, @ as %40, : as %3A, [ as %5B and ] as %5D"
_VALUE = re.compile(r"=[^&/?#;]*")
"""Of a parameter, in the query or, as some cameras have it, in the path. Any may be a secret, whatever it is called."""


@dataclass(frozen=True, slots=True)
class CameraUrl:
    """Address of an RTSP camera. Only `with_secret()` shows the password; repr and str never do."""

    scheme: str
    host: str  # as in the URL: IPv6 in brackets
    port: int
    target: str = field(repr=False)  # path and query, may hold a secret of its own
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str, username: str | None = None, password: str | None = None) -> Self:
        """Parse a URL; credentials stand in it or are given. Raises SourceError invalid_url or scheme_not_allowed."""
        if len(url) > LONGEST or re.search(r"[\x00-\x20\x7f]", url):
            raise SourceError(
                "invalid_url", f"a camera URL has at most {LONGEST} characters, no blanks and no control characters"
            )
        _refuse_bare_passwords(url, username is not None)
        port = None
        try:
            parts = urlsplit(url)
            port, host = parts.port, parts.hostname
        except ValueError:
            host = None
        if not host:
            raise SourceError(
                "invalid_url", f"a camera URL looks like rtsp://host:554/path; host or port is not valid{_HINT}"
            )
        if parts.scheme not in SCHEMES:
            raise SourceError(
                "scheme_not_allowed", f"a camera is reached by {', '.join(f'{name}://' for name in SCHEMES)}"
            )
        if parts.username is not None and username is not None:
            raise SourceError("invalid_url", "credentials stand in the URL and are given as well; give them once")
        if parts.username is not None:
            username, password = unquote(parts.username), unquote(parts.password or "")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        target = target.replace("@", "%40")  # as `with_secret` must have it, which is parsed again
        bracketed = f"[{host}]" if ":" in host else host
        return cls(parts.scheme, bracketed, port or SCHEMES[parts.scheme], target, username, password)

    def __str__(self) -> str:
        """The address for people and logs: no credentials, and no value of a parameter."""
        path, mark, query = self.target.partition("?")
        shown = _VALUE.sub("=***", path) + mark + "&".join(_masked(one) for one in query.split("&"))
        return f"{self.scheme}://{self.host}:{self.port}{shown}"

    def with_secret(self) -> str:
        """The address for the decoder. Never log it, never put it into a message."""
        secret = ""
        if self.username is not None:
            secret = f"{quote(self.username, safe='')}:{quote(self.password or '', safe='')}@"
        return f"{self.scheme}://{secret}{self.host}:{self.port}{self.target}"


def _refuse_bare_passwords(url: str, given_apart: bool) -> None:
    """Raise SourceError invalid_url where an @ says that user name or password go on where a URL ends them.

    Nothing of the URL is in the message: what looks like host and path there is part of the password.
    """
    rest = url.partition("://")[2] or url
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    behind = rest[len(authority) :]
    if authority.count("@") > 1:
        raise SourceError("invalid_url", f"there is more than one @ in front of the host{_HINT}")
    if "@" in behind and not given_apart:
        what = "behind the first / or ? or # there is an @, as if user name or password went on there"
        path = "; an @ of the path itself is written %40, too"
        raise SourceError("invalid_url", f"{what}{_HINT}{path}")


def _masked(parameter: str) -> str:
    """A part of a query: its name, where it has one; else nothing of it."""
    name, has_value, _ = parameter.partition("=")
    return f"{name}=***" if has_value else "***" if name else ""
