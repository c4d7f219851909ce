"""Throttle: who sends wrong keys is told to wait longer and longer; who sends too many requests waits a little."""

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from service.errors import LimitReached

FREE_FAILURES = 5
"""Wrong keys that cost nothing."""
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
FORGET_AFTER_S = 900.0
MOST = 10_000
"""Addresses, and callers, that are remembered; the one seen longest ago is forgotten first."""


@dataclass(slots=True)
class _Failures:
    count: int
    blocked_until_s: float
    last_s: float


class FailureThrottle:
    """Counts wrong keys by address. Event loop only.

    A right key is never held up: many share an address (a household, a proxy, the pages of one browser), and nobody
    guesses 256 bits however fast. Nor does it forgive wrong ones: whoever has one could try others without end.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def failed(self, address: str) -> None:
        """Count a wrong key. Raises LimitReached while the address has to wait: then it is not counted either."""
        now, network = self._clock(), _network(address)
        known = self._failures.get(network)
        if known is not None and known.blocked_until_s > now:
            wait_s = known.blocked_until_s - now
            raise LimitReached("too_many_failures", "too many wrong keys from this address", retry_after_s=wait_s)
        count = 1 if known is None or now - known.last_s > FORGET_AFTER_S else known.count + 1
        wait_s = (
            min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(count - FREE_FAILURES, 32)) if count >= FREE_FAILURES else 0
        )
        self._failures[network] = _Failures(count, now + wait_s, now)
        self._failures.move_to_end(network)
        while len(self._failures) > MOST:
            self._failures.popitem(last=False)


class RateLimit:
    """A bucket of requests per caller, refilled at `per_s`; holds two seconds' worth. Event loop only."""

    def __init__(self, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s, self._size, self._clock = per_s, max(1.0, 2 * per_s), clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # requests left, when

    def take(self, name: str) -> None:
        """Count a request. Raises LimitReached."""
        now = self._clock()
        left, when = self._buckets.pop(name, (self._size, now))
        left = min(self._size, left + (now - when) * self._per_s)
        self._buckets[name] = (left - 1 if left >= 1 else left, now)
        while len(self._buckets) > MOST:
            self._buckets.popitem(last=False)
        if left < 1:
            detail = f"this service takes {self._per_s:g} requests a second of each caller"
            raise LimitReached("too_many_requests", detail, retry_after_s=math.ceil((1 - left) / self._per_s))


def _network(address: str) -> str:
    """An address, and of IPv6 its /64: those belong to one host."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address
