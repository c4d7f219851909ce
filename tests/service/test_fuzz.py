"""Requests that nobody would send, generated from the service's own description: never a 5xx, always as described."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from service.settings import Settings
from tests.service.auth.keyed import BOOTSTRAP_KEY, KeyedService, bearer
from tests.service.conftest import run_service

pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
"""Schemathesis does."""
SCENE = {"url": "synthetic://?people=1&width=320&height=192&fps=2", "id": "scene"}
ENDLESS = ("/streams/{stream_id}/video",)
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
QUICK = settings(
    max_examples=8, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module")
def keyed(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedService]:
    running = run_service(
        Settings(
            models=models,
            pair="tiny",
            size="320x192",
            device="cpu",
            state_dir=tmp_path_factory.mktemp("state"),
            api_key=BOOTSTRAP_KEY,
            schemes=["rtsp", "synthetic"],
            requests_per_s=100_000,
            camera_networks=["127.0.0.0/8"],  # nobody out there shall be called
        )
    )
    yield KeyedService(running)
    running.stop()


@pytest.fixture(scope="module")
def operations(keyed: KeyedService) -> dict[str, object]:
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{keyed.service.port}/openapi.json")
    found = [result.ok() for result in schema.get_all_operations()]
    return {one.label: one for one in found if one.path not in ENDLESS}


def test_every_route_survives_nonsense(keyed: KeyedService, operations: dict[str, object]) -> None:
    assert len(operations) > 15
    with keyed.http() as http:
        for operation in operations.values():
            _fuzz(http, operation)
        assert http.get("/healthz").status_code == 200


def _fuzz(http: httpx.Client, operation) -> None:
    @QUICK
    @given(case=operation.as_strategy(), existing=st.booleans())
    def check(case, existing: bool) -> None:
        if existing and "stream_id" in case.path_parameters and case.method != "DELETE":
            http.post("/streams", json=SCENE)
            case.path_parameters["stream_id"] = "scene"
        case.call_and_validate(checks=CHECKS, headers=bearer(BOOTSTRAP_KEY), timeout=20)

    check()


@QUICK
@given(frames=st.lists(st.text(max_size=300) | st.binary(max_size=300), min_size=1, max_size=5))
def test_socket_survives_whatever_its_client_says(keyed: KeyedService, frames: list[str | bytes]) -> None:
    with keyed.http() as http:
        http.post("/streams", json=SCENE)
    try:
        with connect(keyed.service.ws_url("scene"), additional_headers=bearer(BOOTSTRAP_KEY)) as socket:
            for frame in frames:
                socket.send(frame)
            socket.recv(20)
    except ConnectionClosed as closed:
        assert closed.rcvd is not None and closed.rcvd.code in (1000, 1003, 1007, 1008)


@QUICK
@given(
    query=st.dictionaries(
        st.sampled_from(["zones", "fields", "max_rate", "from_seq", "streams", "ticket"]), st.text(max_size=30)
    )
)
def test_socket_answers_whatever_its_address_says(keyed: KeyedService, query: dict[str, str]) -> None:
    address = f"ws://127.0.0.1:{keyed.service.port}/tracks?{httpx.QueryParams(query)}"
    try:
        with connect(address, additional_headers=bearer(BOOTSTRAP_KEY)):
            pass
    except InvalidStatus as refused:
        assert refused.response.status_code in (404, 422)
