"""/streams/{id}/adaptation: which student sees a stream that adapts."""

import asyncio

from fastapi import APIRouter

from service.adaptation.schema import AdaptationView, StudentChoice
from service.errors import Conflict, documented
from service.routes.dependencies import STARTED, Needs, RuntimeDependency

router = APIRouter(tags=["adaptation"])


@router.post(
    "/streams/{stream_id}/adaptation",
    summary="Go back to another student",
    dependencies=[Needs("write"), STARTED],
    responses=documented(404, 409, 422, 503),
)
async def choose_student(stream_id: str, choice: StudentChoice, runtime: RuntimeDependency) -> AdaptationView:
    """Have the pair's own student see this stream, or the one before the last change-over. Identities stay.

    Later rounds begin with the student chosen, and may take another one; PATCH `adapt` to false ends that.
    """
    adaptation = runtime.registry.get(stream_id).adaptation
    await asyncio.to_thread(adaptation.go_back, choice.student)
    view = adaptation.view()
    if view is None:
        raise Conflict("adapt_is_off", "this stream does not adapt any more")
    return view
