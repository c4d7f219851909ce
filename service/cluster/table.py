"""Table: one process's copy of a bucket's specs and leases. A higher revision always wins."""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from service.cluster.claims import Lease


@dataclass(frozen=True, slots=True)
class Row:
    """One key as the server has it."""

    revision: int
    value: dict[str, Any] | None
    """None: deleted; the next write has to expect this revision nevertheless."""


class Table:
    """Rows of two kinds by stream. Belongs to one thread."""

    KINDS = ("spec", "lease")

    def __init__(self, changed: Callable[[str, str], None] = lambda kind, stream_id: None) -> None:
        """`changed(kind, stream_id)` is called after each change."""
        self._rows: dict[str, dict[str, Row]] = {kind: {} for kind in self.KINDS}
        self._leases: dict[str, Lease] = {}
        self._changed = changed
        self.complete = False
        """Whether it was read as a whole: before that nothing can be said to be missing."""

    def apply(self, kind: str, stream_id: str, revision: int, payload: bytes | None) -> None:
        """Take one row, from whichever source; what is older than what is known is ignored."""
        known = self._rows[kind].get(stream_id)
        if known is not None and known.revision >= revision:
            return
        row = self._rows[kind][stream_id] = Row(revision, _parsed(payload))
        if kind == "lease":
            self._leases[stream_id] = _lease(row)
        self._changed(kind, stream_id)

    def finish(self, kind: str, found: Collection[str], up_to: int) -> None:
        """All rows of a kind were read, when the bucket was at revision `up_to`: others up to it are gone."""
        for stream_id, row in list(self._rows[kind].items()):
            if stream_id not in found and row.revision <= up_to:
                del self._rows[kind][stream_id]
                if kind == "lease":
                    del self._leases[stream_id]
                self._changed(kind, stream_id)

    def row(self, kind: str, stream_id: str) -> Row:
        """The row of a key; revision 0 for one that there never was."""
        return self._rows[kind].get(stream_id, _NONE)

    def spec(self, stream_id: str) -> dict[str, Any] | None:
        """The document of a stream, None where there is no such stream."""
        return self.row("spec", stream_id).value

    def specs(self) -> dict[str, dict[str, Any]]:
        """All streams, oldest first."""
        found = [
            (row.value.get("created_at", 0.0), one, row.value) for one, row in self._rows["spec"].items() if row.value
        ]
        return {stream_id: value for _, stream_id, value in sorted(found, key=lambda one: one[:2])}

    def stream_ids(self) -> set[str]:
        """Ids of all streams."""
        return {one for one, row in self._rows["spec"].items() if row.value is not None}

    def lease(self, stream_id: str) -> Lease | None:
        """Who has a stream; None where nobody ever had."""
        return self._leases.get(stream_id)

    def leases(self) -> Mapping[str, Lease]:
        """All leases, as they are now and will be: copy what has to last."""
        return self._leases


_NONE = Row(0, None)


def _lease(row: Row) -> Lease:
    return Lease(None if row.value is None else str(row.value.get("owner", "")), row.revision)


def _parsed(payload: bytes | None) -> dict[str, Any] | None:
    if not payload:
        return None
    try:
        value = json.loads(payload)
    except ValueError:
        return None  # not ours; it takes part in nothing
    return value if isinstance(value, dict) else None
