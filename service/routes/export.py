"""/streams/{id}/export: the recorded window as a file."""

import asyncio
import math
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic_core import to_json

from service.errors import documented
from service.routes.dependencies import Needs, RuntimeDependency
from service.tracks.formats import coco, mot_text

router = APIRouter(tags=["tracks"])


@router.get(
    "/streams/{stream_id}/export",
    summary="Recorded tracks as a file (MOTChallenge or COCO)",
    dependencies=[Needs("read")],
    response_class=Response,
    responses={
        200: {
            "description": "MOTChallenge results, or a COCO document",
            "content": {"text/plain": {}, "application/json": {}},
        },
        **documented(404, 422),
    },
)
async def export_tracks(
    stream_id: str,
    runtime: RuntimeDependency,
    file_format: Annotated[
        Literal["mot", "coco"], Query(alias="format", description="MOTChallenge text or COCO JSON.")
    ],
    from_s: Annotated[float, Query(alias="from", description="Unix time of the first frame's capture.")] = -math.inf,
    to_s: Annotated[float, Query(alias="to", description="Unix time of the last frame's capture.")] = math.inf,
) -> Response:
    """Return who was seen where, in the window that is still kept (settings `history` and `history_mb`)."""
    classes = runtime.registry.get(stream_id).classes
    messages = runtime.hub.history(stream_id).between(from_s, to_s)
    if file_format == "mot":
        text = await asyncio.to_thread(mot_text, messages, classes)
        return Response(text, media_type="text/plain", headers=_attachment(f"{stream_id}.txt"))
    document = await asyncio.to_thread(lambda: to_json(coco(messages, stream_id, classes)))
    return Response(document, media_type="application/json", headers=_attachment(f"{stream_id}.json"))


def _attachment(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}
