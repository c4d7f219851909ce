"""/streams/{id}/video and /frame.jpg: the picture with its boxes."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response, StreamingResponse

from service.auth.subscriptions import until_ended
from service.backend import Feed
from service.errors import NotFound, documented
from service.routes.dependencies import SUBSCRIBES, Needs, SeatDependency, StreamsDependency
from service.tracks.video import SMALL_WIDTH, EncodedPicture, FeedClosed, Style

router = APIRouter(tags=["video"])
BOUNDARY = b"frame"
NO_STORE = {"Cache-Control": "no-store"}
Boxes = Annotated[bool, Query(description="Draw boxes, ids and trails into the picture.")]
Small = Annotated[bool, Query(description=f"With boxes, {SMALL_WIDTH} pixels wide at most: for overviews.")]


@router.get(
    "/streams/{stream_id}/video",
    summary="Live pictures with boxes (motion JPEG)",
    response_class=StreamingResponse,
    dependencies=[Needs("read"), SUBSCRIBES],
    responses={200: {"content": {"multipart/x-mixed-replace": {}}}, **documented(404)},
)
async def video(
    stream_id: str, streams: StreamsDependency, seat: SeatDependency, boxes: Boxes = True
) -> StreamingResponse:
    """Stream annotated pictures as motion JPEG, newest first when the client is slow.

    Each part has the header `X-Seq`: the `seq` of the track message of that very picture.
    """
    parts = _parts(streams.get(stream_id).feed, _style(boxes))
    media_type = f"multipart/x-mixed-replace; boundary={BOUNDARY.decode()}"
    return StreamingResponse(until_ended(seat, parts), media_type=media_type, headers=NO_STORE)


@router.get(
    "/streams/{stream_id}/frame.jpg",
    summary="Newest picture with boxes (JPEG)",
    response_class=Response,
    dependencies=[Needs("read")],
    responses={200: {"content": {"image/jpeg": {}}}, **documented(404)},
)
async def frame(stream_id: str, streams: StreamsDependency, boxes: Boxes = True, small: Small = False) -> Response:
    """Return the newest picture; 404 `no_frame_yet` before the first."""
    picture = await streams.get(stream_id).feed.newest("small" if small else _style(boxes))
    if picture is None:
        raise NotFound("no_frame_yet", "no frame of this stream was tracked yet; its `state` tells why")
    return Response(picture.jpeg, media_type="image/jpeg", headers={**NO_STORE, "X-Seq": str(picture.seq)})


def _style(boxes: bool) -> Style:
    return "annotated" if boxes else "plain"


async def _parts(feed: Feed, style: Style) -> AsyncIterator[bytes]:
    """Yield parts; a boundary follows each at once, since browsers show a part only when they see the next one."""
    yield b"--%b\r\n" % BOUNDARY
    seq = 0
    while True:
        try:
            picture = await feed.newer_than(seq, style)
        except FeedClosed:
            return
        seq = picture.seq
        yield _part(picture)


def _part(picture: EncodedPicture) -> bytes:
    head = b"Content-Type: image/jpeg\r\nContent-Length: %d\r\nX-Seq: %d\r\n\r\n" % (len(picture.jpeg), picture.seq)
    return b"%b%b\r\n--%b\r\n" % (head, picture.jpeg, BOUNDARY)
