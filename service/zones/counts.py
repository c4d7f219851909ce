"""Counts: how the API shows what was counted."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field


class _ZoneCounts(BaseModel):
    id: str
    name: str
    since: float = Field(description="Unix time at which counting began: when the zone was made, or the last reset.")


class Dwell(BaseModel):
    """How long people stay, seconds."""

    people: int = Field(description="Number of stays that the other two are taken of.")
    mean_s: float | None = Field(description="None where there is none.")
    max_s: float | None


class PolygonCounts(_ZoneCounts):
    """Counts of one polygon; always `enters` - `leaves` = `occupancy`."""

    type: Literal["polygon"] = "polygon"
    occupancy: int = Field(description="People inside now, those hidden for a moment included.")
    enters: int
    leaves: int
    appeared: int = Field(
        description="Part of enters: seen inside before they were seen outside: new to the stream, or inside when the "
        "zone was made, the counts were reset or the service was started."
    )
    vanished: int = Field(
        description="Part of leaves: last seen inside and not again, or inside when the service was stopped."
    )
    dwell_now: Dwell = Field(description="Of the people inside now: how long they have been.")
    dwell: Dwell = Field(description="Of the people who left: how long they had been inside.")


class LineCounts(_ZoneCounts):
    """Counts of one line."""

    type: Literal["line"] = "line"
    forward: int = Field(description="Crossings from the left of the line to its right, seen from start to end.")
    backward: int


class ZoneCounts(BaseModel):
    """All counts of one stream, in the order of its zones."""

    stream_id: str
    zones: list[Annotated[PolygonCounts | LineCounts, Field(discriminator="type")]]
