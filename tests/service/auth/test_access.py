"""Every route, asked by every kind of caller about every kind of stream, answers as declared."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import iter_route_contexts
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from service.auth.caller import SCOPES, Scope
from service.routes.dependencies import Needs, Permission, undeclared
from tests.service.auth.keyed import BOOTSTRAP_KEY, KeyedService, bearer

SCENE = "synthetic://?people=1&width=320&height=192&fps=2"
SOCKET = "WEBSOCKET"
PUBLIC = {
    ("GET", "/"),
    ("GET", "/docs"),
    ("GET", "/docs/oauth2-redirect"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/startupz"),
    ("GET", "/asyncapi.json"),
    ("GET", "/schemas/tracks-1.json"),
}
"""Whoever adds a route says here and in the code who may call it."""
READ = {
    ("GET", "/streams"),
    ("GET", "/streams/{stream_id}"),
    ("GET", "/streams/{stream_id}/tracks"),
    ("GET", "/streams/{stream_id}/export"),
    ("GET", "/streams/{stream_id}/video"),
    ("GET", "/streams/{stream_id}/frame.jpg"),
    ("GET", "/streams/{stream_id}/zones"),
    ("GET", "/streams/{stream_id}/counts"),
    ("GET", "/streams/{stream_id}/timeline"),
    ("GET", "/streams/{stream_id}/timeline/counts.csv"),
    ("GET", "/streams/{stream_id}/timeline/events.csv"),
    ("GET", "/streams/{stream_id}/stills/{still}"),
    (SOCKET, "/streams/{stream_id}/tracks"),
    (SOCKET, "/tracks"),
    ("POST", "/tickets"),
}
READ_ALL = {("GET", "/metrics"), ("GET", "/sinks")}
WRITE = {
    ("POST", "/streams"),
    ("PATCH", "/streams/{stream_id}"),
    ("DELETE", "/streams/{stream_id}"),
    ("PUT", "/streams/{stream_id}/zones"),
    ("POST", "/streams/{stream_id}/counts/reset"),
    ("POST", "/streams/{stream_id}/adaptation"),
}
ADMIN_ALL = {("POST", "/keys"), ("GET", "/keys"), ("DELETE", "/keys/{name}")}

HARMLESS: dict[tuple[str, str], dict[str, Any]] = {
    ("PUT", "/streams/{stream_id}/zones"): {"json": {"zones": []}},
    ("PATCH", "/streams/{stream_id}"): {"json": {}},
    ("DELETE", "/streams/{stream_id}"): {"headers": {"If-Match": '"another"'}},
    ("GET", "/streams/{stream_id}/export"): {"params": {"format": "mot"}},
    ("POST", "/keys"): {"json": {}},
    ("POST", "/streams/{stream_id}/adaptation"): {"json": {"student": "shipped"}},  # of a stream that does not adapt
}
"""What makes a request pass the door and do nothing behind it."""


@dataclass(frozen=True)
class Role:
    scope: Scope
    streams: tuple[str, ...] | None


ROLES = {
    f"{scope}-{'all' if not streams else 'mine'}": Role(scope, streams)
    for scope in SCOPES
    for streams in (None, ("mine",))
}
STREAMS = ("mine", "other", "nobody")


@pytest.fixture(scope="module")
def keys(keyed: KeyedService) -> Iterator[dict[str, str]]:
    with keyed.http() as http:
        for stream_id in ("mine", "other"):
            assert http.post("/streams", json={"url": SCENE, "id": stream_id}).status_code == 201
    yield {
        name: keyed.make_key(name, role.scope, list(role.streams) if role.streams else None)
        for name, role in ROLES.items()
    }


def routes(app: FastAPI) -> dict[tuple[str, str], Permission | None]:
    """(method, path) -> what it needs; None: nothing."""
    found: dict[tuple[str, str], Permission | None] = {}
    for route in iter_route_contexts(app.routes):
        dependant = getattr(route, "dependant", None)
        if dependant is None or route.path is None:
            continue
        calls = [one.call for one in dependant.dependencies]
        needed = next((one for one in calls if isinstance(one, Permission)), None)
        found |= {(method, route.path): needed for method in route.methods or {SOCKET}}
    return found


def test_every_route_is_declared_as_listed_here(keyed: KeyedService) -> None:
    declared = routes(keyed.service.server.config.app)
    expected = (
        dict.fromkeys(PUBLIC, None)
        | dict.fromkeys(READ, Permission("read"))
        | dict.fromkeys(READ_ALL, Permission("read", all_streams=True))
        | dict.fromkeys(WRITE, Permission("write"))
        | dict.fromkeys(ADMIN_ALL, Permission("admin", all_streams=True))
    )
    assert declared == expected


def expected(needed: Permission, role: Role | None, stream_id: str | None) -> tuple[int, str] | None:
    """Status and code of the refusal; None: no refusal."""
    if role is None:
        return 401, "key_missing"
    if SCOPES.index(role.scope) < SCOPES.index(needed.scope):
        return 403, "scope_too_small"
    if needed.all_streams and role.streams is not None:
        return 403, "key_limited"
    if stream_id == "nobody" or (stream_id and role.streams and stream_id not in role.streams):
        return 404, "stream_not_found"
    return None


def ask(
    keyed: KeyedService, http: httpx.Client, method: str, path: str, stream_id: str, key: str | None
) -> tuple[int, str]:
    """Status and problem code (or nothing) of one request."""
    place = path.replace("{stream_id}", stream_id).replace("{name}", "no-such-key").replace("{still}", "1")
    if method == SOCKET:
        address = f"ws://127.0.0.1:{keyed.service.port}{place}"
        try:
            with connect(address, additional_headers=bearer(key)):
                return 101, ""
        except InvalidStatus as refused:
            return refused.response.status_code, json.loads(refused.response.body)["code"]
    options = HARMLESS.get((method, path), {})
    headers = {**options.get("headers", {}), **bearer(key)}
    with http.stream(method, place, **{**options, "headers": headers}) as answer:
        if not answer.headers.get("content-type", "").startswith("application/problem"):
            return answer.status_code, ""
        answer.read()
        return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize("role_name", [None, *ROLES])
def test_every_route_answers_every_caller_about_every_stream_as_declared(
    keyed: KeyedService, keys: dict[str, str], role_name: str | None
) -> None:
    role = ROLES[role_name] if role_name else None
    key = keys[role_name] if role_name else None
    asked = 0
    with keyed.service.http as http:
        for (method, path), needed in routes(keyed.service.server.config.app).items():
            if needed is None:
                continue
            for stream_id in STREAMS if "{stream_id}" in path else (None,):
                refusal = expected(needed, role, stream_id)
                got = ask(keyed, http, method, path, stream_id or "", key)
                if refusal is None:
                    assert got[0] not in (401, 403, 500) and got[1] != "stream_not_found", (
                        method,
                        path,
                        stream_id,
                        got,
                    )
                else:
                    assert got == refusal, (method, path, stream_id, got)
                asked += 1
    assert asked > 40


def test_hidden_stream_looks_like_one_that_is_not_there(keyed: KeyedService, keys: dict[str, str]) -> None:
    with keyed.http(keys["read-mine"]) as http:
        hidden, missing = http.get("/streams/other"), http.get("/streams/nobody")
        assert hidden.text.replace("other", "nobody") == missing.text
        assert [one["id"] for one in http.get("/streams").json()["streams"]] == ["mine"]
    address = f"ws://127.0.0.1:{keyed.service.port}/tracks?streams=mine,other"
    with pytest.raises(InvalidStatus) as refused, connect(address, additional_headers=bearer(keys["read-mine"])):
        pass
    assert refused.value.response.status_code == 404


def test_limited_key_adds_only_its_own_streams(keyed: KeyedService, keys: dict[str, str]) -> None:
    with keyed.http(keys["write-mine"]) as http:
        for body in ({"url": SCENE}, {"url": SCENE, "id": "third"}, {"url": SCENE, "id": "other"}):
            answer = http.post("/streams", json=body)
            assert (answer.status_code, answer.json()["code"]) == (403, "key_limited")
        assert http.post("/streams", json={"url": SCENE, "id": "mine"}).status_code == 200


def test_public_routes_ask_for_nothing(keyed: KeyedService) -> None:
    with keyed.http(None) as http:
        for _, path in PUBLIC:
            assert http.get(path).status_code in (200, 404), path  # the page's files may be elsewhere


@pytest.mark.parametrize("host", ["x?/docs", "x/docs#", "localhost/healthz?"])
def test_host_header_that_poisons_the_path_opens_nothing(keyed: KeyedService, host: str) -> None:
    """CVE-2026-48710: the path as seen by a check must be the path as seen by the router."""
    with keyed.http(None) as http:
        assert http.get("/streams", headers={"Host": host}).status_code in (400, 401)


def test_wrong_scheme_of_authorization_is_no_key(keyed: KeyedService) -> None:
    with keyed.http(None) as http:
        for header in (f"Basic {BOOTSTRAP_KEY}", BOOTSTRAP_KEY, "Bearer", f"Bearer{BOOTSTRAP_KEY}"):
            answer = http.get("/streams", headers={"Authorization": header})
            assert (answer.status_code, answer.json()["code"]) == (401, "key_missing"), header
        for query in ("key", "api_key", "access_token", "token"):
            assert http.get("/streams", params={query: BOOTSTRAP_KEY}).status_code == 401


def test_route_that_declares_nothing_is_found() -> None:
    app, router = FastAPI(), APIRouter()

    @router.get("/forgotten")
    async def forgotten() -> None: ...

    @router.websocket("/also")
    async def also() -> None: ...

    @router.get("/declared", dependencies=[Needs("read")])
    async def declared() -> None: ...

    app.include_router(router, prefix="/deep")
    app.mount("/folder", FastAPI())
    app.add_route("/plain", lambda request: None)
    assert {route.path for route in undeclared(app.routes)} >= {"/deep/forgotten", "/deep/also", "/folder", "/plain"}
    assert "/deep/declared" not in {route.path for route in undeclared(app.routes)}
