"""/streams/{id}/zones and /counts: areas and lines of a stream, and what was counted in them."""

from typing import Annotated

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, ConfigDict, Field

from service.backend import Streams
from service.errors import documented
from service.routes.dependencies import STARTED, Needs, RuntimeDependency, StreamsDependency
from service.streams.schema import StreamPatch
from service.zones.counts import ZoneCounts
from service.zones.zone import Zones

router = APIRouter(tags=["zones"])


class ZoneList(BaseModel):
    """All zones of a stream."""

    model_config = ConfigDict(extra="forbid")

    zones: Zones = Field(
        examples=[
            [
                {"id": "hall", "type": "polygon", "points": [[0.1, 0.5], [0.9, 0.5], [0.9, 1], [0.1, 1]]},
                {"id": "door", "type": "line", "points": [[0.2, 0.6], [0.8, 0.6]]},
            ]
        ]
    )


@router.get(
    "/streams/{stream_id}/zones",
    summary="Show the zones of a stream",
    dependencies=[Needs("read")],
    responses=documented(404),
)
async def get_zones(stream_id: str, streams: StreamsDependency, response: Response) -> ZoneList:
    """Show the polygons and lines of a stream. The ETag is the stream's."""
    return _zones(stream_id, streams, response)


@router.put(
    "/streams/{stream_id}/zones",
    summary="Replace the zones of a stream",
    dependencies=[Needs("write"), STARTED],
    responses=documented(404, 412, 422, 503),
)
async def put_zones(
    stream_id: str,
    new: ZoneList,
    streams: StreamsDependency,
    response: Response,
    if_match: Annotated[str | None, Header(description="Do it only if the stream's ETag is (one of) these.")] = None,
) -> ZoneList:
    """Replace all zones of a stream, as PATCH with `zones` does.

    A zone that keeps its id and type keeps its counts, wherever its points are now; the counts of zones left out are
    gone.
    """
    await streams.update(stream_id, StreamPatch(zones=new.zones), if_match)
    return _zones(stream_id, streams, response)


@router.get(
    "/streams/{stream_id}/counts",
    summary="Counts of the zones",
    dependencies=[Needs("read")],
    responses=documented(404),
)
async def get_counts(stream_id: str, runtime: RuntimeDependency) -> ZoneCounts:
    """Show who is inside, who came and went, and who crossed which way. Counts outlive the service."""
    return runtime.registry.get(stream_id).counter.counts()


@router.post(
    "/streams/{stream_id}/counts/reset",
    summary="Begin to count anew",
    dependencies=[Needs("write"), STARTED],
    responses=documented(404, 503),
)
async def reset_counts(stream_id: str, runtime: RuntimeDependency) -> ZoneCounts:
    """Begin to count anew, and return the counts as they were, so that nobody is lost between reading and resetting.

    Who is inside enters again with the next frame, as `appeared`. 503 `store_failed`: it cannot be kept, so it was not
    done.
    """
    return await runtime.registry.get(stream_id).counter.reset()


def _zones(stream_id: str, streams: Streams, response: Response) -> ZoneList:
    response.headers["ETag"] = streams.etag(stream_id)
    return ZoneList(zones=streams.get(stream_id).spec.zones)
