"""From a host's name to the addresses to connect to; a service puts its policy here."""

import socket
from collections.abc import Callable

from edge.sources.base import SourceError

Resolve = Callable[[str, int], list[str]]
"""Host (IPv6 without brackets) and port to addresses, best first; at least one. Asked anew at every connection, and
nothing else is connected to. Raises SourceError: connection_failed, or what a policy says."""


def resolve_any(host: str, port: int) -> list[str]:
    """Every address that the system knows for `host`."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise SourceError("connection_failed", f"the name {host} has no address; check it, or the DNS server") from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
