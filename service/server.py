"""The server around the application: what uvicorn is told, and how it begins and ends."""

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType

import uvicorn
from fastapi import FastAPI

from service.backend import ServiceBackend
from service.connections import HEAD_S, UNREAD_S, most_connections, timed
from service.limits import HEADERS, URL, WS_MESSAGE
from service.settings import Settings

log = logging.getLogger(__name__)


class ListenError(Exception):
    """The service cannot listen where it was told to; the message says what mends it."""


def server_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """Everything that uvicorn is told."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=settings.log_level == "debug",
        ws_per_message_deflate=False,  # costs more time than loopback or a local network saves
        ws_max_size=WS_MESSAGE,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=[str(one) for one in settings.trusted_proxies],
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
        http=timed(most_connections(settings.max_streams)),  # h11's: the other parser takes headers without end
        h11_max_incomplete_event_size=URL + HEADERS + 1024,
        backlog=512,
        timeout_graceful_shutdown=int(settings.shutdown_grace_s) + 5,
    )


def check_address(settings: Settings) -> None:
    """Raise ListenError where nobody could listen there; warn where keys would be readable on the way."""
    where, host, port = f"{settings.host}:{settings.port}", settings.host, settings.port
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror:
        raise ListenError(f"--host {host} is no name or address that this machine knows") from None
    except OSError as error:
        raise ListenError(f"cannot listen on {where}: {_REMEDIES.get(error.errno or 0, error.strerror)}") from None
    if not settings.bound_to_loopback and settings.tls_cert is None:
        message = "keys and pictures travel to %s in clear; give --tls-cert and --tls-key, or a proxy that has them"
        log.warning(message, where, extra={"event": "plain_http"})


_REMEDIES = {
    errno.EADDRINUSE: "another program listens there; stop that one, or choose another --port",
    errno.EACCES: "this user may not take a port below 1024; choose another --port",
    errno.EADDRNOTAVAIL: "no network of this machine has that address; choose another --host",
}


class DrainingServer(uvicorn.Server):
    """Ends when the runtime cannot start; lets it say goodbye to its subscribers (1001) before uvicorn cuts them off
    (1012)."""

    def __init__(self, config: uvicorn.Config, backend: ServiceBackend) -> None:
        super().__init__(config)
        self._backend = backend

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen. The kernel cuts off who takes nothing of what is sent: uvicorn would wait for ever for its buffers to
        empty."""
        with _hasty_handshakes(self.config.is_ssl):
            await super().startup(sockets)
        for server in getattr(self, "servers", []):  # none where the port is taken
            for listening in server.sockets:
                listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(UNREAD_S * 1000))

    async def on_tick(self, counter: int) -> bool:
        """Return whether it is time to stop."""
        return await super().on_tick(counter) or self._backend.failure is not None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain on the first signal, end on the second."""
        if self.should_exit:
            log.warning("told to stop again: not waiting for anybody")
            logging.shutdown()
            os._exit(128 + sig)
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, then close all connections."""
        await self._backend.drain()
        await super().shutdown(sockets)


@contextmanager
def _hasty_handshakes(tls: bool) -> Iterator[None]:
    """Let TLS handshakes take `HEAD_S` and not asyncio's minute, which uvicorn has no word for."""
    loop = asyncio.get_running_loop()
    plain = loop.create_server
    if tls:
        loop.create_server = partial(plain, ssl_handshake_timeout=HEAD_S)  # type: ignore[method-assign]
    try:
        yield
    finally:
        loop.create_server = plain  # type: ignore[method-assign]
