"""/cluster: the nodes behind a gateway, for admins."""

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from service.app import PAGE_POLICY, STATIC
from service.cluster.asking import Question
from service.cluster.bus import BusAway
from service.cluster.forwarding import gateway_of
from service.cluster.gateway import Gateway
from service.cluster.subjects import node_of
from service.errors import NotFound, NotReady, documented
from service.routes.dependencies import PUBLIC, Needs
from service.routes.sinks import SinkList
from service.sinks.sinks import SinkView

router = APIRouter(tags=["cluster"])


class NodeView(BaseModel):
    """One node."""

    name: str
    device: str = Field(description="GPUs that it sees, or cpu.")
    version: str
    draining: bool = Field(description="It leaves its streams to others, and takes none.")
    load: float = Field(description="Share of the last seconds in which its device thread was busy, 0 to 1.")
    capacity: int = Field(description="Streams that it takes at most.")
    room: int | None = Field(description="Streams that it could carry at full quality, as measured; null: not yet.")
    streams: list[str] = Field(description="Ids of its streams.")


class ClusterView(BaseModel):
    """All nodes of the site."""

    site: str
    nats: bool = Field(description="Whether NATS is there.")
    streams: int
    unplaced: list[str] = Field(description="Ids of streams that no node has.")
    nodes: list[NodeView]


@router.get(
    "/cluster",
    summary="Show the nodes and their streams",
    dependencies=[Needs("admin", all_streams=True)],
    responses=documented(403),
)
async def show_cluster(request: Request) -> ClusterView:
    """Show every node that was heard of in the last seconds, its load, and which streams it has."""
    gateway = gateway_of(request)
    owners = {one: gateway.streams.owner(one) for one in gateway.table.specs()}
    nodes = [
        NodeView(
            name=name,
            device=str(body.get("device", "")),
            version=str(body.get("version", "")),
            draining=bool(body.get("draining")),
            load=float(body.get("load", 0.0)),
            capacity=int(body["capacity"]),
            room=body.get("weight"),
            streams=[one for one, owner in owners.items() if owner == name],
        )
        for name, body in sorted((node_of(life), body) for life, body in gateway.live().items())
    ]
    return ClusterView(
        site=gateway.subjects.site,
        nats=gateway.bus.connected,
        streams=len(owners),
        unplaced=[one for one, owner in owners.items() if owner is None],
        nodes=nodes,
    )


@router.post(
    "/cluster/nodes/{name}/drain",
    summary="Let a node leave its streams to others",
    status_code=204,
    dependencies=[Needs("admin", all_streams=True)],
    responses=documented(403, 404, 503),
)
async def drain_node(request: Request, name: str) -> None:
    """Let a node give its streams to others as far as they have room, and take none until it is told otherwise."""
    await _drain(gateway_of(request), name, True)


@router.delete(
    "/cluster/nodes/{name}/drain",
    summary="Let a node take streams again",
    status_code=204,
    dependencies=[Needs("admin", all_streams=True)],
    responses=documented(403, 404, 503),
)
async def undrain_node(request: Request, name: str) -> None:
    """Let a node that was drained take part again; streams come back to it one by one."""
    await _drain(gateway_of(request), name, False)


@router.get("/sinks", summary="List the brokers that get every message", dependencies=[Needs("read", all_streams=True)])
async def list_sinks(request: Request) -> SinkList:
    """List the brokers of all nodes, each node's own, with their counters."""
    streams = gateway_of(request).streams
    found = await asyncio.gather(*(streams.sinks_of(node) for node in sorted({node_of(one) for one in streams.live})))
    return SinkList(sinks=[SinkView.model_validate(one) for sinks in found for one in sinks])


@router.get("/nodes", include_in_schema=False, dependencies=[PUBLIC])
async def page() -> FileResponse:
    """The page that shows the nodes; what it shows, /cluster tells to admins alone."""
    return FileResponse(STATIC / "nodes.html", headers={"Content-Security-Policy": PAGE_POLICY})


async def _drain(gateway: Gateway, name: str, on: bool) -> None:
    if name not in {node_of(life) for life in gateway.live()}:
        raise NotFound("node_not_found", f"no node {name!r} is there; GET /cluster lists them")
    try:
        await gateway.streams.ask_node(name, Question("POST", "/node/drain", f"on={str(on).lower()}"))
    except BusAway as away:
        told = f"node {name!r} did not answer ({away}): whether it heard is not known; ask again"
        raise NotReady("node_away", told) from None
