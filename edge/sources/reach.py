"""Is anybody there? A look at a camera's TCP port, which costs next to nothing."""

import socket
from collections.abc import Sequence

from edge.sources.base import SourceError
from edge.sources.rtsp.camera_url import CameraUrl

PROBE_TIMEOUT_S = 1.0
"""A host on the way back does not answer in between: a lost look is repeated soon."""


def reach(url: CameraUrl, addresses: Sequence[str]) -> SourceError | None:
    """None where the camera's port takes a connection at one of its addresses (at least one), else why not."""
    failures = (_reach(url, address) for address in addresses)
    first = next(failures)
    return first and (None if None in failures else first)


def _reach(url: CameraUrl, address: str) -> SourceError | None:
    try:
        with socket.create_connection((address, url.port), PROBE_TIMEOUT_S):
            return None
    except TimeoutError:
        return SourceError("timeout", f"{url} does not answer; is the camera on and the address right?")
    except ConnectionRefusedError:
        return SourceError("connection_failed", f"{url}: connection refused; is the camera on and the port right?")
    except OSError as error:
        return SourceError("connection_failed", f"{url} cannot be reached ({type(error).__name__})")
