"""Connections: how long a client may take, and who goes when there are too many.

A server alone waits for ever for a request that never ends, and its descriptors are spent by whoever opens most. Here
heads and bodies have a time by which they must be there, however they trickle; whoever is full makes room by closing
those that ask nothing; and some places are left to those who only ask whether the service lives.
"""

import asyncio
import resource
from collections import OrderedDict
from typing import Any

import h11
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 10.0
"""From the first byte of a request, or from the connection, to the end of its headers; TLS's handshake apart."""
BODY_S = 20.0
"""From there to the end of its body, which has 64 kB at most."""
UNREAD_S = 30.0
"""How long a client may leave an answer unread while more waits to be sent."""
RESERVE = 16
"""Connections beyond the most that are answered when they ask for the service's health, and refused otherwise."""
HEALTH_PATHS = ("/healthz", "/startupz", "/readyz")
MOST, FEWEST = 10_000, 32
OWN_DESCRIPTORS, DESCRIPTORS_PER_STREAM = 64, 8
"""What the service itself, and each camera, needs."""
WANTED_DESCRIPTORS = 65_536


def most_connections(streams: int) -> int:
    """How many connections this process has descriptors for, beside `streams` cameras; raises its limit if it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < WANTED_DESCRIPTORS:
        wanted = WANTED_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, WANTED_DESCRIPTORS)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    left = soft - OWN_DESCRIPTORS - RESERVE - DESCRIPTORS_PER_STREAM * streams
    return max(FEWEST, min(MOST, left))


class TimedProtocol(H11Protocol):
    """uvicorn's protocol with limits. `most` is set by `timed`, for one server each."""

    most = MOST
    waiting: "OrderedDict[TimedProtocol, None]"
    """Those that ask nothing at the moment, the one that does so for longest first."""

    _deadline: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _phase: str | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Find a place for another client."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            if self.waiting:
                next(iter(self.waiting)).give_up()
            elif len(self.connections) > self.most + RESERVE:
                self.give_up()
                return
            else:
                self.app = _health_alone(self.app)
        self._expect("head", HEAD_S)

    def data_received(self, data: bytes) -> None:
        """Take bytes; whatever they begin has its time."""
        if self._phase is None:
            self._expect("head", HEAD_S)
        super().data_received(data)
        if self.transport.get_protocol() is not self:  # a WebSocket by now: this is no request that goes on
            return
        if self.conn.their_state is h11.SEND_BODY and self._phase != "body":
            self._expect("body", BODY_S)
        elif self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._expect(None)

    def on_response_complete(self) -> None:
        """The client may ask again, or is idle."""
        super().on_response_complete()
        self._expect(None)
        self.waiting[self] = None

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """From here on WebSocket's own pings find out who is gone."""
        self._expect(None)
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        self._expect(None)
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Answers pile up: the client has to read."""
        super().pause_writing()
        self._unread = self._unread or self.loop.call_later(UNREAD_S, self.give_up)

    def resume_writing(self) -> None:
        """It does."""
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def give_up(self) -> None:
        """Close at once, whatever was still to be sent."""
        self._expect(None)
        self.transport.abort()

    def _expect(self, phase: str | None, seconds: float = 0.0) -> None:
        """Begin a phase that has to be over in time; None: nothing is expected of the client."""
        self._phase = phase
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self.waiting.pop(self, None)
        if phase is not None:
            self._deadline = self.loop.call_later(seconds, self.give_up)
        if phase == "head":
            self.waiting[self] = None


def timed(most: int) -> type[TimedProtocol]:
    """The protocol for one server of at most so many connections."""
    return type("Timed", (TimedProtocol,), {"most": most, "waiting": OrderedDict()})


def _health_alone(app: Any) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in HEALTH_PATHS:
            response = PlainTextResponse("too many connections\n", 503, {"Connection": "close", "Retry-After": "10"})
            await response(scope, receive, send)
        else:
            await app(scope, receive, send)

    return answer
