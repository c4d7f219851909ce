"""Subscriptions: how many follow a stream, and how many connections one key holds."""

from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from service.auth.caller import Caller
from service.errors import LimitReached


class Subscriptions:
    """Counts the connections that last: WebSockets, event streams, moving pictures. Event loop only."""

    def __init__(self, per_stream: int, per_key: int) -> None:
        self._per_stream, self._per_key = per_stream, per_key
        self._streams: Counter[str] = Counter()
        self._callers: Counter[str] = Counter()

    @contextmanager
    def hold(self, caller: Caller, stream_ids: Collection[str]) -> Iterator[None]:
        """Count one connection to these streams while the context lasts. Raises LimitReached."""
        if self._callers[caller.name] >= self._per_key:
            raise LimitReached("too_many_connections", f"{self._per_key} connections of one key are open at most")
        if any(self._streams[one] >= self._per_stream for one in stream_ids):
            raise LimitReached("too_many_subscribers", f"{self._per_stream} connections follow one stream at most")
        self._callers[caller.name] += 1
        self._streams.update(stream_ids)
        try:
            yield
        finally:
            _subtract(self._callers, [caller.name])
            _subtract(self._streams, stream_ids)

    def __len__(self) -> int:
        """Connections open now."""
        return self._callers.total()


def _subtract(counts: Counter[str], names: Collection[str]) -> None:
    """Forget what is at zero: names come from clients, and there is no end of them."""
    counts.subtract(names)
    for name in names:
        if counts[name] <= 0:
            del counts[name]
