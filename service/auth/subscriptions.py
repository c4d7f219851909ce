"""Subscriptions: how many follow a stream, how many connections one key holds, and what ends them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from service.auth.caller import Caller
from service.errors import LimitReached

End = Literal["key_refused", "share_used_up"]
"""Why a connection is ended: its key is revoked or expired; or the stream is full, and another key has a right to the
place."""


@dataclass(eq=False)
class Seat:
    """One connection that lasts."""

    caller: Caller
    stream_ids: frozenset[str]
    ended: "asyncio.Future[End]" = field(repr=False)
    """Done when the connection has to end."""

    def end(self, why: End) -> None:
        """Let whoever serves the connection end it."""
        if not self.ended.done():
            self.ended.set_result(why)


class Subscriptions:
    """Counts the connections that last: WebSockets, event streams, moving pictures. Event loop only.

    A stream that is full has room for who has fewer places in it than another: the one with the most gives one up. So
    one key alone may take all, and never keeps others out.
    """

    def __init__(self, per_stream: int, per_key: int) -> None:
        self._per_stream, self._per_key = per_stream, per_key
        self._seats: dict[Seat, None] = {}  # oldest first

    @contextmanager
    def hold(self, caller: Caller, stream_ids: Collection[str]) -> Iterator[Seat]:
        """Count one connection to these streams while the context lasts. Raises LimitReached."""
        if sum(one.caller.key_id == caller.key_id for one in self._seats) >= self._per_key:
            raise LimitReached("too_many_connections", f"{self._per_key} connections of one key are open at most")
        given_up = [one for stream_id in stream_ids if (one := self._place(caller, stream_id)) is not None]
        for one in given_up:
            self._seats.pop(one, None)
            one.end("share_used_up")
        seat = Seat(caller, frozenset(stream_ids), asyncio.get_running_loop().create_future())
        self._seats[seat] = None
        try:
            yield seat
        finally:
            self._seats.pop(seat, None)

    def end_unless(self, holds: Callable[[Caller], bool]) -> None:
        """End the connections of all callers that do not hold a key any more."""
        for seat in list(self._seats):
            if not holds(seat.caller):
                seat.end("key_refused")

    def __len__(self) -> int:
        """Connections open now."""
        return len(self._seats)

    def _place(self, caller: Caller, stream_id: str) -> Seat | None:
        """Who makes room; None where there is some. Raises LimitReached where nobody has more than the caller would."""
        here = [one for one in self._seats if stream_id in one.stream_ids]
        if len(here) < self._per_stream:
            return None
        places = Counter(one.caller.key_id for one in here)
        greediest, most = places.most_common(1)[0]
        if most <= places[caller.key_id] + 1:
            raise LimitReached("too_many_subscribers", f"{self._per_stream} connections follow one stream at most")
        return next(one for one in reversed(here) if one.caller.key_id == greediest)


async def until_ended(seat: Seat, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Pass on what is sent until the seat has to end."""
    following = asyncio.ensure_future(anext(parts))
    try:
        while True:
            either: set[asyncio.Future[Any]] = {following, seat.ended}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not following.done():
                return
            try:
                part = following.result()
            except StopAsyncIteration:
                return
            yield part
            if seat.ended.done():
                return
            following = asyncio.ensure_future(anext(parts))
    finally:
        following.cancel()
        await asyncio.wait({following})
        if not following.cancelled():
            following.exception()
        await parts.aclose()  # type: ignore[attr-defined]  # all are generators
