"""/streams: add, list, look at and remove streams."""

from fastapi import APIRouter, Request, Response

from service.errors import documented
from service.routes.dependencies import STARTED, Needs, RegistryDependency
from service.streams import NewStream, StreamList, StreamView

router = APIRouter(tags=["streams"])


@router.post(
    "/streams",
    status_code=201,
    dependencies=[Needs("write"), STARTED],
    responses={
        200: {"description": "The very same stream exists already", "model": StreamView},
        **documented(409, 422, 429, 503),
    },
)
async def add_stream(new: NewStream, registry: RegistryDependency, request: Request, response: Response) -> StreamView:
    """Add a stream; `{"url": "rtsp://..."}` is enough.

    Answers at once: whether the camera can be reached shows in the stream's `state`. The same id and the same
    specification again answers 200 and changes nothing; the same id with another specification answers 409.
    """
    stream, created = await registry.add(new)
    response.status_code = 201 if created else 200
    response.headers["Location"] = request.app.url_path_for("get_stream", stream_id=stream.id)
    return stream.view()


@router.get("/streams", dependencies=[Needs("read")])
async def list_streams(registry: RegistryDependency) -> StreamList:
    """List all streams with their state and live numbers, oldest first."""
    return StreamList(streams=[stream.view() for stream in registry.all()])


@router.get("/streams/{stream_id}", dependencies=[Needs("read")], responses=documented(404))
async def get_stream(stream_id: str, registry: RegistryDependency) -> StreamView:
    """Show one stream with its state and live numbers."""
    return registry.get(stream_id).view()


@router.delete("/streams/{stream_id}", status_code=204, dependencies=[Needs("write")], responses=documented(404))
async def remove_stream(stream_id: str, registry: RegistryDependency) -> None:
    """Stop a stream and forget it; its subscribers are closed with code 1000."""
    await registry.remove(stream_id)
