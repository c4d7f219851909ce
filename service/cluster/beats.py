"""Beats: which nodes are alive, by one's own monotonic clock. No clock is ever compared with another machine's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

BEAT_S = 0.5
"""Time between two signs of life."""
TTL_S = 3.0
"""A life not heard of for so long is dead, to those who may judge."""
HOLE_S = 1.5
"""Who missed its own beat for so long was deaf, and judges nobody until it has listened anew for `TTL_S`."""
SETTLED_S = 5.0
"""A life heard of for so long is worth moving streams to."""


@dataclass(slots=True)
class _Life:
    since_s: float
    last_s: float
    body: Mapping[str, Any]


class Beats:
    """What was heard, and when. Times are seconds of one monotonic clock, given by the caller."""

    def __init__(self, me: str | None = None) -> None:
        """`me`: the own life; None for who listens only, and never judges."""
        self._me = me
        self._lives: dict[str, _Life] = {}
        self._connected_s: float | None = None
        self._unbroken_since_s: float | None = None
        self._own_last_s: float | None = None

    def connected(self, now_s: float) -> None:
        """A connection begins: what was heard before says nothing about who is silent now."""
        self._connected_s, self._unbroken_since_s, self._own_last_s = now_s, None, None
        for life in self._lives.values():
            life.last_s = now_s

    def receive(self, life: str, body: Mapping[str, Any], now_s: float) -> None:
        """Take one beat."""
        if life == self._me:
            if self._own_last_s is None or now_s - self._own_last_s > HOLE_S:
                self._unbroken_since_s = now_s
            self._own_last_s = now_s
        known = self._lives.get(life)
        if known is None or now_s - known.last_s > TTL_S:
            self._lives[life] = _Life(now_s, now_s, body)
        else:
            known.last_s, known.body = now_s, body

    def goodbye(self, life: str) -> None:
        """A node has ended in good order."""
        self._lives.pop(life, None)

    def live(self, now_s: float) -> dict[str, Mapping[str, Any]]:
        """Lives heard of within `TTL_S`, with what they said last."""
        return {name: one.body for name, one in self._lives.items() if now_s - one.last_s <= TTL_S}

    def misses(self, now_s: float) -> bool:
        """Whether this connection has been listened to for so long that who is not heard of is not there."""
        return self._connected_s is not None and now_s - self._connected_s >= TTL_S

    def settled(self, life: str, now_s: float) -> bool:
        """Whether this life has been there for a while."""
        known = self._lives.get(life)
        return known is not None and now_s - known.since_s >= SETTLED_S

    def seasoned(self, now_s: float) -> bool:
        """Whether the own beats came back without a hole for at least `TTL_S`, up to now: who was deaf knows nothing
        of the others."""
        if self._unbroken_since_s is None or self._own_last_s is None:
            return False
        return now_s - self._own_last_s <= HOLE_S and now_s - self._unbroken_since_s >= TTL_S

    def forget_old(self, now_s: float) -> None:
        """Drop lives that have been silent for long."""
        self._lives = {name: one for name, one in self._lives.items() if now_s - one.last_s <= 20 * TTL_S}
