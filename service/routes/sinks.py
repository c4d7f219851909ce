"""/sinks: the brokers that get every message, and how they are."""

from fastapi import APIRouter
from pydantic import BaseModel

from service.routes.dependencies import Needs, RuntimeDependency
from service.sinks.sinks import SinkView

router = APIRouter(tags=["sinks"])


class SinkList(BaseModel):
    """All sinks, in the order of the settings."""

    sinks: list[SinkView]


@router.get("/sinks", summary="List the brokers that get every message", dependencies=[Needs("read", all_streams=True)])
async def list_sinks(runtime: RuntimeDependency) -> SinkList:
    """List the brokers of the setting `sinks` with their counters."""
    return SinkList(sinks=runtime.sinks.views())
