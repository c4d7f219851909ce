"""Zone: a polygon or a directed line of one stream, as the API takes and shows it."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from engines.signature import LONGEST_CLASS
from service.ids import Id
from service.zones.shape import ShapeError, check_line, check_polygon

MOST_ZONES = 64
"""Of one stream."""
MOST_CORNERS = 64
MOST_CLASSES = 100

Coordinate = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Point = tuple[Coordinate, Coordinate]
Anchor = Literal["foot", "centre"]
ClassName = Annotated[str, Field(min_length=1, max_length=LONGEST_CLASS)]


class _Zone(BaseModel):
    """What polygons and lines share. Equal zones compare equal."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Id = Field(description="Your own id, unique in the stream; counts belong to it.", examples=["door"])
    name: str = Field(default="", max_length=100, description="For people; the id if empty.")
    anchor: Anchor = Field(
        default="foot",
        description="The point of a box that counts. foot: middle of its lower edge, where the person stands, clipped "
        "to the picture; centre: for cameras that look straight down.",
    )
    classes: Annotated[tuple[ClassName, ...], Field(max_length=MOST_CLASSES)] = Field(
        default=(),
        exclude_if=lambda classes: not classes,
        description="Only these count, of the stream's `classes`; all where it is left out.",
        examples=[["car", "truck"]],
    )


class Polygon(_Zone):
    """An area: occupancy, enters and leaves, time of stay. Its border belongs to it."""

    type: Literal["polygon"]
    points: Annotated[tuple[Point, ...], Field(min_length=3, max_length=MOST_CORNERS)] = Field(
        description="Corners (x, y) as parts of the picture's width and height, 0 to 1 from the upper left corner, so "
        "that they hold for every resolution. Either way round; edges must not touch or cross each other.",
        examples=[[[0.1, 0.5], [0.4, 0.5], [0.4, 0.9], [0.1, 0.9]]],
    )


class Line(_Zone):
    """A directed line: crossings each way. Forward is from its left to its right, seen along it from start to end."""

    type: Literal["line"]
    points: tuple[Point, Point] = Field(
        description="Start and end (x, y) as parts of the picture's width and height, 0 to 1 from the upper left.",
        examples=[[[0.2, 0.6], [0.8, 0.6]]],
    )


def _check_type(zone: object) -> object:
    if isinstance(zone, dict) and zone.get("type") not in ("polygon", "line"):
        came = "another one" if "type" in zone else "none"
        raise PydanticCustomError("zone_kind", f"expected a zone with `type` 'polygon' or 'line', got {came}")
    return zone


def _check_shape(zone: Polygon | Line) -> Polygon | Line:
    try:
        (check_polygon if zone.type == "polygon" else check_line)(zone.points)
    except ShapeError as error:
        raise ValueError(f"zone {zone.id!r}: {error}") from None
    return zone


def _check_ids(zones: "tuple[Polygon | Line, ...]") -> "tuple[Polygon | Line, ...]":
    seen: set[str] = set()
    for zone in zones:
        if zone.id in seen:
            raise ValueError(f"two zones have the id {zone.id!r}; ids are unique in a stream")
        seen.add(zone.id)
    return zones


Zone = Annotated[
    Polygon | Line, Field(discriminator="type"), AfterValidator(_check_shape), BeforeValidator(_check_type)
]
Zones = Annotated[tuple[Zone, ...], Field(max_length=MOST_ZONES), AfterValidator(_check_ids)]
"""All zones of one stream; hashable, and equal where the zones are."""
