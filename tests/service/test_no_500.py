"""Requests that once made the service fail, each of its kind: every answer is one that was foreseen."""

import json

import httpx
import pytest

from tests.service.auth.keyed import code_of
from tests.service.conftest import RunningService

SECRET = "hunter2-the-secret"  # noqa: S105
NASTY_PATHS = [
    "/streams/%00",
    "/static/%00",
    "/static/a%00b.js",
    "/keys/%0a",
    "/docs/%7f",
    "/%ff%fe",
    "/streams/a%00/video",
]
NASTY_TEXTS = ["\ud800", "a\udfff", "\x00", "\u202e", "x" * 300, ""]


@pytest.mark.parametrize("path", NASTY_PATHS)
@pytest.mark.parametrize("method", ["GET", "DELETE", "PATCH", "POST"])
def test_path_with_control_characters_is_refused(service: RunningService, path: str, method: str) -> None:
    with service.http as http:
        assert http.request(method, path).status_code in (400, 404, 405)


def places(text: str) -> list[tuple[str, str, object]]:
    camera = "rtsp://127.0.0.1:1025/live"
    return [
        ("POST", "/streams", {"url": camera, "credentials": {"username": "a", "password": text}}),
        ("POST", "/streams", {"url": camera, "credentials": {"username": text or "b", "password": "x"}}),
        ("POST", "/streams", {"url": f"{camera}{text}"}),
        ("POST", "/streams", {"url": f"synthetic://?view={text}"}),
        ("POST", "/streams", {"url": f"walk{text}.mp4"}),
        ("POST", "/streams", {"url": camera, "name": text}),
        ("POST", "/streams", {"url": camera, "id": text}),
        ("POST", "/streams", {"url": camera, "mode": text}),
        ("POST", "/streams", {"url": camera, "zones": [{"id": text, "type": "line", "points": [[0, 0], [1, 1]]}]}),
        ("POST", "/keys", {"name": text, "scope": "admin"}),
        ("POST", "/tickets", {"streams": [text]}),
    ]


@pytest.mark.parametrize("text", NASTY_TEXTS, ids=ascii)
def test_text_that_is_none_is_refused_or_taken_wherever_it_stands(
    service: RunningService, client: httpx.Client, text: str
) -> None:
    for method, path, body in places(text):
        answer = client.request(method, path, content=json.dumps(body), headers={"Content-Type": "application/json"})
        assert answer.status_code < 500, (path, body, answer.text)
        if path == "/streams" and answer.is_success:
            client.delete(f"/streams/{answer.json()['id']}")


@pytest.mark.parametrize(
    "query",
    [
        "seed=-1",
        "seed=99999999999999999999",
        "width=1e9",
        "height=-5",
        "fps=nan",
        "fps=inf",
        "people=-1",
        "frames=-1",
        "view=",
    ],
)
def test_scene_that_cannot_be_is_refused(client: httpx.Client, query: str) -> None:
    assert code_of(client.post("/streams", json={"url": f"synthetic://?{query}"})) == (422, "invalid_url")


def test_largest_scenes_hold_nobody_up(client: httpx.Client) -> None:
    for number in range(3):
        url = f"synthetic://?width=7680&height=4320&fps=0.1&people=1&seed={number}"
        answer = client.post("/streams", json={"url": url, "id": f"large-{number}"}, timeout=5)
        assert answer.status_code == 201


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/streams", {"url": "x", SECRET: 1}),
        ("/streams", {"url": "rtsp://127.0.0.1:1025/x", "credentials": {"username": "a", "password": "b", SECRET: 1}}),
        ("/streams", {"url": "x", "zones": [{"id": "a", "type": "line", "points": [[0, 0], [1, 1]], SECRET: 1}]}),
        ("/keys", {"name": "a", "scope": "read", SECRET: SECRET}),
        ("/tickets", {SECRET: SECRET}),
    ],
)
def test_field_that_is_not_ours_is_not_repeated(client: httpx.Client, path: str, body: dict[str, object]) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == 422
    assert SECRET not in answer.text


@pytest.mark.parametrize("path", ["/streams/", "/keys/", "/healthz/", "/tickets/"])
def test_nobody_is_sent_to_a_host_that_a_client_names(client: httpx.Client, path: str) -> None:
    answer = client.get(path, headers={"Host": "localhost"}, follow_redirects=False)
    assert answer.status_code in (404, 405)
    assert "location" not in answer.headers
