"""/streams: add, list, look at, change and remove streams."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from service.auth.caller import Caller
from service.backend import Streams
from service.errors import Forbidden, documented
from service.routes.dependencies import STARTED, BackendDependency, Needs, StreamsDependency
from service.streams.schema import NewStream, StreamList, StreamPatch, StreamPhase, StreamView

router = APIRouter(tags=["streams"])

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        description="Names this request: sent again with the same key it adds nothing. For bodies without `id`.",
    ),
]
IfMatch = Annotated[str | None, Header(description="Do it only if the stream's ETag is (one of) these.")]


@router.post(
    "/streams",
    summary="Add a stream",
    status_code=201,
    dependencies=[STARTED],
    responses={
        200: {"description": "The very same stream exists already", "model": StreamView},
        **documented(409, 422, 429, 503),
    },
)
async def add_stream(
    new: NewStream,
    caller: Annotated[Caller, Needs("write")],
    streams: StreamsDependency,
    request: Request,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> StreamView:
    """Add a stream; `{"url": "rtsp://..."}` is enough. It is there again when the service restarts.

    Answers at once: whether the camera can be reached shows in the stream's `state`. A stream that exists with the
    same id is answered with 200, and changed by nothing; if it differs in a field of the body, with 409.
    """
    if caller.streams is not None and new.id not in caller.streams:
        raise Forbidden("key_limited", "your key is limited to some streams, and this is none of them; give its `id`")
    stream, created = await streams.add(new, idempotency_key)
    response.status_code = 201 if created else 200
    response.headers["Location"] = request.app.url_path_for("get_stream", stream_id=stream.id)
    return await _shown(stream.id, streams, response)


@router.get("/streams", summary="List the streams", responses=documented(422))
async def list_streams(
    caller: Annotated[Caller, Needs("read")],
    backend: BackendDependency,
    state: Annotated[list[StreamPhase] | None, Query(description="Only streams in one of these phases.")] = None,
) -> StreamList:
    """List all streams with their state and live numbers, oldest first."""
    seen = [one for one in await backend.streams.views() if caller.sees(one.id)]
    return StreamList(streams=[one for one in seen if state is None or one.state.phase in state], notice=backend.notice)


@router.get("/streams/{stream_id}", summary="Show one stream", dependencies=[Needs("read")], responses=documented(404))
async def get_stream(stream_id: str, streams: StreamsDependency, response: Response) -> StreamView:
    """Show one stream with its state and live numbers. The ETag changes with PATCH, not with the numbers."""
    return await _shown(stream_id, streams, response)


@router.patch(
    "/streams/{stream_id}",
    summary="Change a stream while it runs",
    dependencies=[Needs("write"), STARTED],
    responses=documented(404, 412, 422, 503),
)
async def change_stream(
    stream_id: str, patch: StreamPatch, streams: StreamsDependency, response: Response, if_match: IfMatch = None
) -> StreamView:
    """Change a stream while it runs. Its messages tell the settings of its lane as they are in force."""
    await streams.update(stream_id, patch, if_match)
    return await _shown(stream_id, streams, response)


@router.delete(
    "/streams/{stream_id}",
    summary="Remove a stream",
    status_code=204,
    dependencies=[Needs("write"), STARTED],
    responses=documented(404, 412, 503),
)
async def remove_stream(stream_id: str, streams: StreamsDependency, if_match: IfMatch = None) -> None:
    """Stop a stream and forget it, its counts too; its subscribers are closed with code 1000."""
    await streams.remove(stream_id, if_match)


async def _shown(stream_id: str, streams: Streams, response: Response) -> StreamView:
    view = await streams.view(stream_id)
    response.headers["ETag"] = streams.etag(stream_id)
    return view
