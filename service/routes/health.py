"""/healthz: is the service alive."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from service.errors import NotReady, documented
from service.routes.dependencies import PUBLIC, RuntimeDependency

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """Alive."""

    status: Literal["ok"] = "ok"
    streams: int


@router.get("/healthz", dependencies=[PUBLIC], responses=documented(503))
async def healthz(runtime: RuntimeDependency) -> Health:
    """Answer 200 while the device thread shows signs of life, 503 otherwise."""
    if runtime.stalled:
        raise NotReady("worker_stalled", "the device thread gives no sign of life; restart the service")
    return Health(streams=len(runtime.registry.all()))
