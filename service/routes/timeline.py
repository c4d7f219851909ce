"""/streams/{id}/timeline and /stills: what happened over hours and days, with pictures, and as CSV."""

import asyncio
import csv
import io
import math
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, TypeVar

from fastapi import APIRouter, Query
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, Field

from engines.signature import PEOPLE
from service.errors import NotFound, NotReady, Refused, documented
from service.routes.dependencies import Needs, RuntimeDependency
from service.timeline.archive import STEP_S, Archive, EventType, PeopleCounts, StoredEvent
from service.timeline.timeline import Timeline, TimelineLost

router = APIRouter(tags=["timeline"])
HOUR_S = 3600.0
MOST_STEPS = 400
MOST_EVENTS = 500
CSV_ROWS = 2000
"""Rows read at a time."""
Result = TypeVar("Result")

From = Annotated[
    float | None, Query(alias="from", allow_inf_nan=False, description="Unix time; an hour ago if absent.")
]
To = Annotated[float | None, Query(alias="to", allow_inf_nan=False, description="Unix time; now if absent.")]


class CountsView(BaseModel):
    """What was seen from `at` on, for one step."""

    at: int = Field(description="Unix time.")
    frames: int
    people_mean: float = Field(description="People in a frame, the mean over the frames.")
    people_most: int = Field(description="Most people in a frame.")
    teacher: int = Field(description="Frames that the teacher saw.")
    student: int = Field(description="Frames that the student saw.")
    predicted: int = Field(description="Frames that no network saw.")


class EventView(BaseModel):
    """Something that happened in a zone, or to the stream."""

    at: float = Field(description="Unix time.")
    type: EventType = Field(description="discontinuity: the camera was away.")
    zone: str | None = Field(description="Id of the zone.")
    zone_name: str | None = Field(description="As it was called at that time.")
    person: int | None = Field(description="Id of the person.")
    direction: str | None = Field(description="cross: forward or backward.")
    dwell: float | None = Field(description="leave: seconds inside.")
    still: int | None = Field(description="Number for /streams/{stream_id}/stills/{still}; null: no picture is kept.")
    class_name: str | None = Field(
        default=None,
        serialization_alias="class",
        exclude_if=lambda name: name is None,
        description="The person's class; left out where the stream sees people alone.",
    )


class TimelineView(BaseModel):
    """What happened at one stream."""

    from_s: float = Field(serialization_alias="from", description="Unix time.")
    to_s: float = Field(serialization_alias="to", description="Unix time.")
    step: int = Field(description="Seconds of each of `counts`.")
    counts: list[CountsView] = Field(description="Oldest first; none for a time without frames.")
    events: list[EventView] = Field(description=f"The newest {MOST_EVENTS}, newest first.")


@router.get(
    "/streams/{stream_id}/timeline",
    summary="People and zone events over time",
    dependencies=[Needs("read")],
    responses=documented(404, 422, 503),
)
async def get_timeline(
    stream_id: str, runtime: RuntimeDependency, from_s: From = None, to_s: To = None
) -> TimelineView:
    """Show people over time, who looked, and what happened in the zones; the last hour unless told otherwise."""
    runtime.registry.get(stream_id)
    begin, end = _span(from_s, to_s)
    step = _step(begin, end)

    def look(kept: Archive) -> tuple[list[PeopleCounts], list[StoredEvent]]:
        return kept.counts(stream_id, begin, end, step, MOST_STEPS + 1), kept.events(stream_id, begin, end, MOST_EVENTS)

    counts, events = await _read(runtime.timeline, look)
    return TimelineView(
        from_s=begin,
        to_s=end,
        step=step,
        counts=[_counts(one) for one in counts],
        events=[_event(one) for one in events],
    )


@router.get(
    "/streams/{stream_id}/timeline/counts.csv",
    summary="People over time as CSV",
    dependencies=[Needs("read")],
    response_class=Response,
    responses={200: {"content": {"text/csv": {}}}, **documented(404, 422, 503)},
)
async def export_counts(
    stream_id: str, runtime: RuntimeDependency, from_s: From = None, to_s: To = None
) -> StreamingResponse:
    """Return people over time as CSV, a row for each ten seconds with frames."""
    runtime.registry.get(stream_id)
    begin, end = _span(from_s, to_s)
    columns = ("time", "frames", "people_mean", "people_most", "teacher", "student", "predicted")

    def rows() -> Iterator[list[object]]:
        at = begin
        while page := runtime.timeline.read(partial(_page_of_counts, stream_id, at, end)):
            at = page[-1].at + STEP_S
            for one in page:
                view = _counts(one)
                yield [_iso(view.at), *(getattr(view, name) for name in columns[1:])]

    return await _csv(runtime.timeline, f"{stream_id}-counts.csv", columns, rows)


@router.get(
    "/streams/{stream_id}/timeline/events.csv",
    summary="Zone events as CSV",
    dependencies=[Needs("read")],
    response_class=Response,
    responses={200: {"content": {"text/csv": {}}}, **documented(404, 422, 503)},
)
async def export_events(
    stream_id: str, runtime: RuntimeDependency, from_s: From = None, to_s: To = None
) -> StreamingResponse:
    """Return what happened in the zones as CSV, newest first; with a column `class` where not only people are seen."""
    classes = runtime.registry.get(stream_id).classes
    begin, end = _span(from_s, to_s)
    columns: tuple[str, ...] = ("time", "type", "zone", "zone_name", "person", "direction", "dwell_s", "still")
    if classes != PEOPLE:
        columns = (*columns, "class")

    def rows() -> Iterator[list[object]]:
        offset = 0
        while page := runtime.timeline.read(partial(_page_of_events, stream_id, begin, end, offset)):
            offset += len(page)
            for one in page:
                dwell = None if one.dwell is None else round(one.dwell, 3)
                row: list[object] = [
                    _iso(one.at),
                    one.type,
                    one.zone,
                    one.zone_name,
                    one.person,
                    one.direction,
                    dwell,
                    one.still,
                ]
                yield row if classes == PEOPLE else [*row, one.class_name]

    return await _csv(runtime.timeline, f"{stream_id}-events.csv", columns, rows)


@router.get(
    "/streams/{stream_id}/stills/{still}",
    summary="Picture of a zone event",
    dependencies=[Needs("read")],
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}, **documented(404, 422, 503)},
)
async def get_still(stream_id: str, still: int, runtime: RuntimeDependency) -> Response:
    """Return the picture of an event; 404 `still_not_found` when it is not kept any more."""
    runtime.registry.get(stream_id)
    if not 0 < still < 2**63:
        raise _no_still(still)
    jpeg = await _read(runtime.timeline, lambda kept: kept.still(stream_id, still))
    if jpeg is None:
        raise _no_still(still)
    return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})


def _no_still(still: int) -> NotFound:
    return NotFound("still_not_found", f"there is no still {still} of this stream, or it is not kept any more")


def _page_of_counts(stream_id: str, from_s: float, to_s: float, kept: Archive) -> list[PeopleCounts]:
    return kept.counts(stream_id, from_s, to_s, STEP_S, CSV_ROWS)


def _page_of_events(stream_id: str, from_s: float, to_s: float, offset: int, kept: Archive) -> list[StoredEvent]:
    return kept.events(stream_id, from_s, to_s, CSV_ROWS, offset)


def _span(from_s: float | None, to_s: float | None) -> tuple[float, float]:
    """Begin and end, Unix time. Raises Refused."""
    end = time.time() if to_s is None else to_s
    begin = end - HOUR_S if from_s is None else from_s
    if not 0 <= begin < end < 2**53:
        raise Refused("invalid_span", "`from` and `to` are Unix times in seconds, the earlier one first")
    return begin, end


def _step(begin: float, end: float) -> int:
    """Seconds of a step, so that there are at most `MOST_STEPS`; a multiple of `STEP_S`."""
    return STEP_S * max(1, math.ceil((end - begin) / STEP_S / MOST_STEPS))


async def _read(timeline: Timeline, look: Callable[[Archive], Result]) -> Result:
    try:
        return await asyncio.to_thread(timeline.read, look)
    except TimelineLost:
        raise _lost() from None


def _lost() -> NotReady:
    return NotReady("timeline_failed", "the timeline cannot be read now; the service's log has the reason")


def _counts(one: PeopleCounts) -> CountsView:
    mean = round(one.people / one.frames, 2)
    return CountsView(
        at=one.at,
        frames=one.frames,
        people_mean=mean,
        people_most=one.most,
        teacher=one.teacher,
        student=one.student,
        predicted=one.predicted,
    )


def _event(one: StoredEvent) -> EventView:
    return EventView(
        at=round(one.at, 3),
        type=one.type,
        zone=one.zone,
        zone_name=one.zone_name,
        person=one.person,
        direction=one.direction,
        dwell=None if one.dwell is None else round(one.dwell, 3),
        still=one.still,
        class_name=one.class_name,
    )


def _iso(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def _csv(
    timeline: Timeline, name: str, columns: tuple[str, ...], rows: Callable[[], Iterator[list[object]]]
) -> StreamingResponse:
    """A file that is made while it is sent. Raises NotReady where not even its begin can be read."""
    await _read(timeline, lambda kept: None)
    head = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(_lines(columns, rows()), media_type="text/csv", headers=head)


def _lines(columns: tuple[str, ...], rows: Iterator[list[object]]) -> Iterator[str]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    for number, row in enumerate(rows, start=1):
        writer.writerow([_cell(value) for value in row])
        if number % 200 == 0:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()


def _cell(value: object) -> object:
    """Text that a spreadsheet would take for a formula is marked as text."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
