"""/streams over real HTTP: adding, listing, removing, and every way to be refused."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.service.conftest import KEY, RunningService
from tests.service.waiting import wait_for_phase, wait_until
from tests.support.rtsp_server import RtspServer

EMPTY = {"streams": [], "next_cursor": None}
SCENE = "synthetic://?people=2&width=320&height=192&fps=10"


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is the problem expected, and return it."""
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code), body
    assert body["title"]
    assert body["detail"]
    assert body["type"] == "about:blank"
    return body


def test_list_is_empty_at_first(client: httpx.Client) -> None:
    assert client.get("/streams").json() == EMPTY
    assert client.get("/healthz").json() == {"status": "ok"}


def test_url_is_enough_to_add_a_stream(client: httpx.Client) -> None:
    answer = client.post("/streams", json={"url": SCENE})
    assert answer.status_code == 201
    stream = answer.json()
    assert answer.headers["location"] == f"/streams/{stream['id']}"
    assert stream["name"] == stream["id"]
    assert (stream["k"], stream["mode"], stream["has_credentials"]) == (4, "atttrack", False)
    assert client.get(answer.headers["location"]).json()["url"] == SCENE
    assert [one["id"] for one in client.get("/streams").json()["streams"]] == [stream["id"]]


def test_running_stream_tells_its_numbers(client: httpx.Client) -> None:
    client.post("/streams", json={"url": SCENE, "id": "scene", "name": "A square", "k": 2})
    wait_for_phase(client, "scene", "running")
    wait_until(lambda: client.get("/streams/scene").json()["stats"]["fps"] > 1, 10, "frames")
    stream = client.get("/streams/scene").json()
    assert (stream["name"], stream["k"]) == ("A square", 2)
    assert (stream["stats"]["width"], stream["stats"]["height"]) == (320, 192)
    assert stream["stats"]["frame_age_p50_ms"] > 0


def test_same_stream_again_is_the_same_stream(client: httpx.Client) -> None:
    body = {"url": SCENE, "id": "scene"}
    assert client.post("/streams", json=body).status_code == 201
    again = client.post("/streams", json=body)
    assert again.status_code == 200
    assert again.headers["location"] == "/streams/scene"
    problem(client.post("/streams", json={**body, "k": 2}), 409, "stream_exists")
    assert len(client.get("/streams").json()["streams"]) == 1


def test_removed_stream_is_gone_and_its_id_is_free(client: httpx.Client) -> None:
    for _ in range(2):
        assert client.post("/streams", json={"url": SCENE, "id": "scene"}).status_code == 201
        answer = client.delete("/streams/scene")
        assert (answer.status_code, answer.content) == (204, b"")
        problem(client.delete("/streams/scene"), 404, "stream_not_found")


@pytest.mark.parametrize("path", ["", "/video", "/frame.jpg"])
def test_unknown_stream_is_not_found(client: httpx.Client, path: str) -> None:
    assert "nobody" in problem(client.get(f"/streams/nobody{path}"), 404, "stream_not_found")["detail"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "invalid_request"),
        ({"url": 5}, "invalid_request"),
        ({"url": SCENE, "k": 0}, "invalid_request"),
        ({"url": SCENE, "id": "../x"}, "invalid_request"),
        ({"url": SCENE, "fps": 5}, "invalid_request"),
        ({"url": SCENE, "mode": "magic"}, "invalid_request"),
        ({"url": SCENE, "name": ""}, "invalid_request"),
        ({"url": SCENE, "threshold": 1.5}, "invalid_request"),
        ({"url": SCENE, "identity": "forget"}, "invalid_request"),
        ({"url": SCENE, "zones": [{"type": "line", "id": "a", "points": [[0, 0], [0, 0]]}]}, "invalid_request"),
        ({"url": SCENE, "credentials": {"username": "a", "password": "b"}}, "invalid_url"),
        ({"url": "not a url"}, "invalid_url"),
        ({"url": "rtsp://"}, "invalid_url"),
        ({"url": "synthetic://?people=many"}, "invalid_url"),
        ({"url": "synthetic://?people=100000"}, "invalid_url"),
        ({"url": "http://192.168.1.2/a.m3u8"}, "scheme_not_allowed"),
        ({"url": "notes.mp4"}, "no_video"),
        ({"url": "missing.mp4"}, "not_found"),
        ({"url": "../../etc/passwd"}, "path_not_allowed"),
    ],
)
def test_bad_stream_is_refused_with_a_stable_code(client: httpx.Client, body: dict[str, Any], code: str) -> None:
    problem(client.post("/streams", json=body), 422, code)
    assert client.get("/streams").json() == EMPTY


def test_refused_field_is_named(client: httpx.Client) -> None:
    body = problem(client.post("/streams", json={"url": SCENE, "k": 0}), 422, "invalid_request")
    assert [error["field"] for error in body["errors"]] == ["k"]


def test_body_that_is_no_json_is_refused(client: httpx.Client) -> None:
    problem(client.post("/streams", content=b"{", headers={"content-type": "application/json"}), 422, "invalid_request")


def test_unknown_path_and_wrong_method_are_problems(client: httpx.Client) -> None:
    problem(client.get("/nothing"), 404, "not_found")
    problem(client.put("/streams"), 405, "method_not_allowed")


def test_one_stream_too_many_is_refused(client: httpx.Client) -> None:
    for number in range(4):
        assert client.post("/streams", json={"url": SCENE, "id": f"s{number}"}).status_code == 201
    problem(client.post("/streams", json={"url": SCENE}), 429, "too_many_streams")


def test_file_that_ended_is_stopped(client: httpx.Client) -> None:
    client.post("/streams", json={"url": "walk.mp4", "id": "file"})
    state = wait_for_phase(client, "file", "stopped")
    assert state["cause"] == "ended"
    assert client.get("/streams/file").json()["url"] == "file:walk.mp4"


def test_camera_that_is_not_there_is_tried_again_and_disturbs_nobody(client: httpx.Client, camera: RtspServer) -> None:
    client.post("/streams", json={"url": camera.url(), "id": "alive"})
    client.post("/streams", json={"url": camera.url("elsewhere"), "id": "wrong"})
    client.post("/streams", json={"url": "rtsp://127.0.0.1:9/dead", "id": "dead"})
    dead = wait_for_phase(client, "dead", "reconnecting")
    assert dead["cause"] == "connection_failed"
    assert dead["attempts"] >= 1
    assert dead["next_retry"] > dead["since"]
    assert wait_for_phase(client, "wrong", "reconnecting")["cause"] == "not_found"
    wait_for_phase(client, "alive", "running")
    before = client.get("/streams/alive").json()["stats"]["frames"]
    wait_until(lambda: client.get("/streams/alive").json()["stats"]["frames"] > before + 10, 10, "more frames")
    assert client.get("/streams/alive").json()["state"]["attempts"] == 0


def test_camera_that_comes_back_is_running_again(
    start_service: Callable[..., RunningService], camera: RtspServer
) -> None:
    with start_service().http as http:
        http.post("/streams", json={"url": camera.url(), "id": "door"})
        wait_for_phase(http, "door", "running")
        camera.stop()
        try:
            wait_for_phase(http, "door", "reconnecting")
        finally:
            camera.start()
        wait_for_phase(http, "door", "running")


def test_locked_camera_opens_with_credentials_only(client: httpx.Client, locked_camera: RtspServer) -> None:
    client.post("/streams", json={"url": locked_camera.url(), "id": "no-key"})
    added = client.post("/streams", json={"url": locked_camera.url(), "id": "key", "credentials": KEY}).json()
    assert added["has_credentials"]
    assert wait_for_phase(client, "no-key", "reconnecting")["cause"] == "auth_failed"
    wait_for_phase(client, "key", "running")


def test_openapi_describes_messages_and_problems_and_the_docs_need_no_other_host(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    assert {"TrackMessage", "TrackItem", "Problem", "StreamView", "NewStream"} <= document["components"][
        "schemas"
    ].keys()
    assert "/streams/{stream_id}/video" in document["paths"]
    page = client.get("/docs").text
    assert "https://" not in page
    for path in ("/", "/static/app.js", "/static/style.css"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "//" not in answer.text.replace("http://www.w3.org", "").replace("rtsp://", "").replace(
            "// ", ""
        ).replace("synthetic://", "")
