"""Totals: the running counts of each zone, and the JSON in which they outlive the process."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Self

from service.zones.zone import Line, Polygon

MOST = 2.0**53
"""No count and no time comes near."""


@dataclass(slots=True)
class _Totals:
    """Counts since `since` (Unix time)."""

    WHOLE: ClassVar[tuple[str, ...]] = ()

    since: float = field(default_factory=time.time)

    @classmethod
    def restored(cls, stored: Mapping[str, Any]) -> Self:
        """Return what `stored` says; what it lacks is 0, what is not known here is left out.

        Raises ValueError where it says what no count can be.
        """
        if not isinstance(stored, Mapping):
            raise ValueError("counts of a zone are no object")
        known = {one.name: stored[one.name] for one in fields(cls) if one.name in stored}
        for name, value in known.items():
            whole = name in cls.WHOLE
            if type(value) not in ((int,) if whole else (int, float)) or not 0 <= value < MOST:
                raise ValueError(f"{name} of a zone is no count")
        return cls(**known)

    def to_json(self) -> dict[str, Any]:
        """Return plain data; a quarter of the time of `dataclasses.asdict`, which copies deeply."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


@dataclass(slots=True)
class PolygonTotals(_Totals):
    """Of a polygon. Always enters - leaves = occupancy; appeared and vanished are parts of enters and leaves."""

    WHOLE = ("enters", "leaves", "appeared", "vanished", "stays")

    enters: int = 0
    leaves: int = 0
    appeared: int = 0
    vanished: int = 0
    stays: int = 0
    dwell_sum_s: float = 0.0
    dwell_max_s: float = 0.0

    @property
    def occupancy(self) -> int:
        """People inside."""
        return self.enters - self.leaves

    def enter(self, appeared: bool) -> None:
        """Count one who enters."""
        self.enters += 1
        self.appeared += appeared

    def leave(self, dwell_s: float, vanished: bool) -> None:
        """Count one who leaves after `dwell_s` seconds."""
        self.leaves += 1
        self.vanished += vanished
        self.stays += 1
        self.dwell_sum_s += dwell_s
        self.dwell_max_s = max(self.dwell_max_s, dwell_s)

    def all_vanish(self) -> None:
        """Let everybody inside leave; nobody knows how long they stayed."""
        self.vanished += self.occupancy
        self.leaves = self.enters


@dataclass(slots=True)
class LineTotals(_Totals):
    """Of a line."""

    WHOLE = ("forward", "backward")

    forward: int = 0
    backward: int = 0

    def cross(self, net: int) -> None:
        """Count crossings: forward where `net` > 0, backward where it is < 0."""
        self.forward += max(net, 0)
        self.backward += max(-net, 0)


@dataclass(frozen=True, slots=True)
class Totals:
    """Of all zones of one stream, by id."""

    polygons: dict[str, PolygonTotals]
    lines: dict[str, LineTotals]

    @classmethod
    def of(cls, zones: Sequence[Polygon | Line], before: Self | None = None) -> Self:
        """Return totals for `zones`: those of `before` where it has the id for the same type, else zeros."""
        polygons = before.polygons if before else {}
        lines = before.lines if before else {}
        return cls(
            {z.id: polygons.get(z.id) or PolygonTotals() for z in zones if z.type == "polygon"},
            {z.id: lines.get(z.id) or LineTotals() for z in zones if z.type == "line"},
        )

    @classmethod
    def restored(cls, stored: Mapping[str, Any], zones: Sequence[Polygon | Line]) -> Self:
        """Return what `to_json` gave, for `zones`. Their people are not known any more: they have left.

        Raises ValueError where `to_json` cannot have given it.
        """
        groups = stored.get("polygons", {}), stored.get("lines", {})
        if not all(isinstance(group, Mapping) for group in groups):
            raise ValueError("counts of zones are no objects")
        polygons = {name: PolygonTotals.restored(one) for name, one in groups[0].items()}
        lines = {name: LineTotals.restored(one) for name, one in groups[1].items()}
        for totals in polygons.values():
            if totals.occupancy < 0:
                raise ValueError("more left a zone than entered it")
            totals.all_vanish()
        return cls.of(zones, cls(polygons, lines))

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "polygons": {name: one.to_json() for name, one in self.polygons.items()},
            "lines": {name: one.to_json() for name, one in self.lines.items()},
        }
