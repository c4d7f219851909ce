"""`atttrack gateway`: the front door of a cluster."""

from collections.abc import Sequence

from fastapi import FastAPI
from fastapi.routing import APIRoute

from service.app import assemble
from service.cluster import routes as cluster
from service.cluster.forwarding import rebuilt
from service.cluster.gateway import Gateway
from service.cluster.options import parse
from service.cluster.serving import serve
from service.logs import configure_logs
from service.routes import (
    adaptation,
    export,
    health,
    keys,
    metrics,
    schemas,
    streams,
    tickets,
    timeline,
    tracks,
    video,
    zones,
)
from service.settings import Settings

EXAMPLES = """\
examples:
  atttrack gateway --nats tls://nats1:4222 --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem

All settings of `atttrack serve` may follow. Any number of gateways may run; each answers everything.
"""


def main(arguments: Sequence[str]) -> None:
    """Run a gateway until it is told to stop."""
    options, settings = parse("gateway", "The front door of a cluster.", EXAMPLES, arguments)
    configure_logs(settings.log_level, settings.log_format)
    gateway = Gateway(settings, options)
    serve(gateway_app(settings, gateway), settings, gateway)


def gateway_app(settings: Settings, gateway: Gateway) -> FastAPI:
    """The routes of the service, in front of a cluster; what only a stream's node knows is asked there."""
    of_timeline = {route.path for route in timeline.router.routes if isinstance(route, APIRoute)}
    counts = {"/streams/{stream_id}/counts", "/streams/{stream_id}/counts/reset"}
    routers = [
        streams.router,
        rebuilt(tracks.router, {"/streams/{stream_id}/tracks"}, follows=True),
        video.router,
        rebuilt(timeline.router, of_timeline),
        health.router,
        rebuilt(export.router, {"/streams/{stream_id}/export"}),
        schemas.router,
        rebuilt(zones.router, counts),
        rebuilt(adaptation.router, {"/streams/{stream_id}/adaptation"}),
        metrics.router,
        keys.router,
        tickets.router,
        cluster.router,
    ]
    return assemble(settings, gateway, gateway.guard, routers)
