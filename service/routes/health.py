"""/healthz, /startupz, /readyz: alive, started, ready; for process supervisors, load balancers and people.

A supervisor restarts what is not alive, waits for what has not started, and sends no streams to what is not ready.
"""

from typing import Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from service.errors import NotReady, documented
from service.readiness import Reason
from service.routes.dependencies import PUBLIC, BackendDependency

router = APIRouter(tags=["health"], dependencies=[PUBLIC])


class Health(BaseModel):
    """Alive."""

    status: Literal["ok"] = "ok"


class ReasonView(BaseModel):
    """One thing that stands in the way."""

    code: str = Field(description="Stable and machine-readable.", examples=["building_engines"])
    detail: str = Field(description="For people.", examples=["building engines 40%"])


class ReadinessView(BaseModel):
    """Whether the service takes streams, and what stands in the way."""

    ready: bool
    reasons: list[ReasonView] = Field(default_factory=list, description="Empty when ready.")


_NOT_YET: dict[int | str, dict[str, Any]] = {
    503: {"description": "Not yet, or no more; Retry-After tells when to ask again", "model": ReadinessView}
}


@router.get("/healthz", summary="Is it alive?", responses=documented(503))
async def healthz(backend: BackendDependency) -> Health:
    """Answer 200 while the device thread shows signs of life, also while it loads networks; 503 otherwise."""
    if backend.stalled:
        raise NotReady("worker_stalled", "the device thread gives no sign of life; restart the service")
    return Health()


@router.get("/startupz", summary="Has it started?", responses=_NOT_YET)
async def startupz(backend: BackendDependency, response: Response) -> ReadinessView:
    """Answer 200 once the networks are loaded and the first streams added, and from then on; 503 before."""
    if backend.readiness.started:
        return ReadinessView(ready=True)
    return _view(backend.readiness.reasons, response)


@router.get("/readyz", summary="Does it take streams?", responses=_NOT_YET)
async def readyz(backend: BackendDependency, response: Response) -> ReadinessView:
    """Answer 200 while streams are taken; 503 with the reasons while networks load, while draining, or when stalled."""
    reasons = backend.readiness.reasons
    if backend.stalled:
        reasons.append(Reason("worker_stalled", "the device thread gives no sign of life"))
    return _view(reasons, response)


def _view(reasons: list[Reason], response: Response) -> ReadinessView:
    if reasons:
        response.status_code = NotReady.status
        response.headers.update(NotReady.headers)
    return ReadinessView(ready=not reasons, reasons=[ReasonView(code=one.code, detail=one.detail) for one in reasons])
