"""/metrics: for Prometheus."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from service.routes.dependencies import BackendDependency, Needs

router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    dependencies=[Needs("read", all_streams=True)],
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}},
)
def metrics(backend: BackendDependency) -> Response:
    """Return counters, gauges and histograms in Prometheus' text format; streams are labelled by id."""
    return Response(backend.metrics.render(), media_type=CONTENT_TYPE_LATEST)
