"""/streams over real HTTP: adding, listing, changing, removing, and every way to be refused."""

import gc
import re
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from service.streams.overload import Overload
from testbed.rtsp_server import RtspServer
from tests.service.conftest import KEY, RunningService
from tests.service.test_tracks_route import receive
from tests.service.waiting import wait_for_phase, wait_until

EMPTY: dict[str, object] = {"streams": [], "notice": None}
JSON = {"Content-Type": "application/json"}
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


def test_removed_stream_does_not_wait_for_the_garbage_collector(client: httpx.Client, service: RunningService) -> None:
    client.post("/streams", json={"url": SCENE, "id": "scene"})
    wait_for_phase(client, "scene", "running")
    stream = weakref.ref(service.runtime.registry.get("scene"))
    gc.disable()
    try:
        assert client.delete("/streams/scene").status_code == 204
        wait_until(lambda: stream() is None, 5, "the stream and its pictures to be freed")
    finally:
        gc.enable()


def test_every_answer_for_a_stream_that_comes_and_goes_is_a_whole_stream_or_a_problem(client: httpx.Client) -> None:
    """Once an answer without `state` was seen: it can only have been a problem, and says so by its type."""
    schema = client.get("/openapi.json").json()["components"]["schemas"]
    assert {"state", "stats", "url"} <= set(schema["StreamView"]["required"])
    assert {"phase", "since"} <= set(schema["StateView"]["required"])
    over, answers = threading.Event(), list[httpx.Response]()

    def look() -> None:
        while not over.is_set():
            answers.append(client.get("/streams/scene"))

    with ThreadPoolExecutor(2) as lookers:
        looks = [lookers.submit(look) for _ in range(2)]
        for _ in range(6):
            client.post("/streams", json={"url": SCENE, "id": "scene"})
            client.patch("/streams/scene", json={"k": 3})
            client.delete("/streams/scene")
        over.set()
        for one in looks:
            one.result()
    for answer in answers:
        if answer.status_code == 200:
            assert answer.json()["state"]["phase"]
        else:
            problem(answer, 404, "stream_not_found")
    assert {answer.status_code for answer in answers} == {200, 404}


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


def test_request_sent_again_with_its_key_adds_nothing(client: httpx.Client) -> None:
    key = {"Idempotency-Key": "8f1c"}
    first = client.post("/streams", json={"url": SCENE}, headers=key)
    again = client.post("/streams", json={"url": SCENE}, headers=key)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert client.post("/streams", json={"url": SCENE}, headers={"Idempotency-Key": "other"}).status_code == 201
    problem(client.post("/streams", json={"url": SCENE, "k": 9}, headers=key), 409, "stream_exists")
    problem(client.post("/streams", json={"url": SCENE}, headers={"Idempotency-Key": ""}), 422, "invalid_request")
    assert len(client.get("/streams").json()["streams"]) == 2


def test_conflict_names_what_differs_and_no_value(client: httpx.Client, locked_camera: RtspServer) -> None:
    body = {"id": "door", "url": locked_camera.url(), "credentials": KEY}
    client.post("/streams", json=body)
    other = {**body, "credentials": {"username": "viewer", "password": "wrong horse"}, "name": "Other"}
    detail = problem(client.post("/streams", json=other), 409, "stream_exists")["detail"]
    assert "differs in credentials, name;" in detail
    assert "horse" not in detail
    assert client.post("/streams", json={"id": "door", "url": body["url"]}).status_code == 200


def test_many_at_once_with_the_same_id_make_one_stream(client: httpx.Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.post("/streams", json={"url": SCENE, "id": "scene"}), range(8)))
    assert sorted(one.status_code for one in answers) == [200] * 7 + [201]


def test_list_is_in_the_order_of_creation_and_may_be_by_state(client: httpx.Client) -> None:
    for name in "bac":
        client.post("/streams", json={"url": SCENE, "id": name})
    client.delete("/streams/a")
    assert [one["id"] for one in client.get("/streams").json()["streams"]] == ["b", "c"]
    wait_for_phase(client, "c", "running")
    running = client.get("/streams", params={"state": ["running", "degraded"]}).json()["streams"]
    assert "c" in [one["id"] for one in running]
    assert client.get("/streams", params={"state": "failed"}).json() == EMPTY
    problem(client.get("/streams", params={"state": "asleep"}), 422, "invalid_request")


def test_change_is_told_by_the_next_messages(client: httpx.Client, service: RunningService) -> None:
    client.post("/streams", json={"url": SCENE, "id": "scene", "k": 50})
    with connect(service.ws_url("scene")) as socket:
        receive(socket, 2)
        changed = client.patch("/streams/scene", json={"k": 2, "mode": "naive", "threshold": 0.7, "name": "Square"})
        assert changed.status_code == 200
        assert (changed.json()["k"], changed.json()["mode"], changed.json()["name"]) == (2, "naive", "Square")
        told = receive(socket, 12)
        in_force = [(one.k, one.mode, one.threshold) for one in told]
        assert in_force[-1] == (2, "naive", 0.7)
        assert in_force == sorted(in_force, reverse=True)  # the old ones, then the new ones
        kinds = [one.kind for one in told if one.mode == "naive"]
        assert kinds[0] == "teacher"
        assert kinds == ["teacher", "student"] * (len(kinds) // 2) + ["teacher"] * (len(kinds) % 2)
        back = client.patch(
            "/streams/scene",
            json={"k": None, "mode": None, "threshold": None, "name": None},
            headers={"content-type": "application/merge-patch+json"},
        ).json()
        assert (back["k"], back["mode"], back["threshold"], back["name"]) == (4, "atttrack", 0.4, "scene")
        assert {one.seq for one in told} == set(range(told[0].seq, told[-1].seq + 1))


def test_other_address_is_opened_and_identities_start_anew(
    client: httpx.Client, service: RunningService, camera: RtspServer, locked_camera: RtspServer
) -> None:
    client.post("/streams", json={"url": camera.url(), "id": "door", "k": 2})
    with connect(service.ws_url("door")) as socket:
        before = receive(socket, 3)
        moved = client.patch("/streams/door", json={"url": locked_camera.url(), "credentials": KEY}).json()
        assert (moved["url"], moved["has_credentials"], moved["k"]) == (locked_camera.url(), True, 2)
        messages = before + receive(socket, 30)
    first = next(one for one in messages if one.epoch == 2)
    assert {one.epoch for one in messages} == {1, 2}
    assert [one.seq for one in messages] == list(range(messages[0].seq, messages[-1].seq + 1))
    assert "discontinuity" in [event.type for event in first.events]
    old, new = ({track.uid for one in messages if one.epoch == epoch for track in one.tracks} for epoch in (1, 2))
    assert not old & new
    wait_until(lambda: camera.clients == 0, 10, "the old connection to end")
    client.patch("/streams/door", json={"credentials": None})
    assert wait_for_phase(client, "door", "reconnecting")["cause"] == "auth_failed"


@pytest.mark.parametrize(
    ("patch", "code"),
    [
        ({"k": 0}, "invalid_request"),
        ({"k": "many"}, "invalid_request"),
        ({"id": "other"}, "invalid_request"),
        ({"url": None}, "invalid_request"),
        ({"url": ""}, "invalid_url"),
        ({"url": "http://192.168.1.2/a.m3u8"}, "scheme_not_allowed"),
        ({"url": "notes.mp4"}, "no_video"),
        ({"credentials": KEY}, "invalid_url"),
        ([], "invalid_request"),
    ],
)
def test_bad_change_is_refused_and_changes_nothing(client: httpx.Client, patch: Any, code: str) -> None:
    client.post("/streams", json={"url": SCENE, "id": "scene"})
    before = client.get("/streams/scene")
    problem(client.patch("/streams/scene", json=patch), 422, code)
    after = client.get("/streams/scene")
    assert after.headers["etag"] == before.headers["etag"]
    assert after.json()["url"] == SCENE
    wait_for_phase(client, "scene", "running")


def test_change_of_nothing_changes_nothing(client: httpx.Client) -> None:
    etag = client.post("/streams", json={"url": SCENE, "id": "scene"}).headers["etag"]
    assert client.patch("/streams/scene", json={}).headers["etag"] == etag
    assert client.patch("/streams/scene", json={"k": 4, "url": SCENE}).headers["etag"] == etag
    problem(client.patch("/streams/nobody", json={}), 404, "stream_not_found")


def test_change_of_what_somebody_else_changed_is_refused(client: httpx.Client) -> None:
    etag = client.post("/streams", json={"url": SCENE, "id": "scene"}).headers["etag"]
    newer = client.patch("/streams/scene", json={"k": 2}, headers={"If-Match": etag}).headers["etag"]
    assert newer != etag
    problem(client.patch("/streams/scene", json={"k": 3}, headers={"If-Match": etag}), 412, "stream_changed")
    problem(client.delete("/streams/scene", headers={"If-Match": etag}), 412, "stream_changed")
    assert client.get("/streams/scene").json()["k"] == 2
    assert client.delete("/streams/scene", headers={"If-Match": f"{etag}, {newer}"}).status_code == 204


def test_mode_without_its_network_is_refused(
    start_service: Callable[..., RunningService], models: Path, tmp_path: Path
) -> None:
    for file in models.iterdir():
        if "plain" not in file.name:
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with start_service(models=tmp_path).http as http:
        detail = problem(http.post("/streams", json={"url": SCENE, "mode": "naive"}), 422, "mode_not_available")
        assert "atttrack" in detail["detail"]
        http.post("/streams", json={"url": SCENE, "id": "scene"})
        problem(http.patch("/streams/scene", json={"mode": "student"}), 422, "mode_not_available")
        assert http.get("/streams/scene").json()["mode"] == "atttrack"


def test_change_that_cannot_be_kept_is_not_made(client: httpx.Client, service: RunningService) -> None:
    client.post("/streams", json={"url": SCENE, "id": "scene"})
    store = service.runtime.store
    store.read("PRAGMA query_only = ON")  # as a disk that is full, or not there any more
    try:
        problem(client.post("/streams", json={"url": SCENE, "id": "more"}), 503, "store_failed")
        problem(client.patch("/streams/scene", json={"k": 9}), 503, "store_failed")
        problem(client.delete("/streams/scene"), 503, "store_failed")
    finally:
        store.read("PRAGMA query_only = OFF")
    assert [(one["id"], one["k"]) for one in client.get("/streams").json()["streams"]] == [("scene", 4)]
    assert client.post("/streams", json={"url": SCENE, "id": "more"}).status_code == 201  # nothing was left behind


def test_stream_that_is_too_much_is_degraded(client: httpx.Client, service: RunningService) -> None:
    client.post("/streams", json={"url": SCENE, "id": "scene"})
    wait_for_phase(client, "scene", "running")
    # as its watch would find on a machine slow enough; it takes that back after seconds without a drop
    service.runtime.registry.get("scene")._overload.now = Overload(2e9, "9 of 10 frames were dropped")
    state = client.get("/streams/scene").json()["state"]
    assert (state["phase"], state["cause"], state["since"]) == ("degraded", "overloaded", 2e9)
    assert state["message"] == "9 of 10 frames were dropped"


def test_file_that_ended_is_stopped(client: httpx.Client) -> None:
    client.post("/streams", json={"url": "walk.mp4", "id": "file"})
    state = wait_for_phase(client, "file", "stopped")
    assert state["cause"] == "ended"
    assert client.get("/streams/file").json()["url"] == "file:walk.mp4"


def test_camera_that_is_not_there_is_tried_again_and_disturbs_nobody(client: httpx.Client, camera: RtspServer) -> None:
    client.post("/streams", json={"url": camera.url(), "id": "alive"})
    client.post("/streams", json={"url": camera.url("elsewhere"), "id": "wrong"})
    client.post("/streams", json={"url": "rtsp://127.0.0.1:1025/dead", "id": "dead"})
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
    parts = re.findall(r'(?:src|href)="/?(static/[^"]+)"', client.get("/").text)
    assert len(parts) >= 2
    for path in ("", *parts):
        answer = client.get(f"/{path}")
        assert answer.status_code == 200
        assert "//" not in answer.text.replace("http://www.w3.org", "").replace("rtsp://", "").replace(
            "// ", ""
        ).replace("synthetic://", "")


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"content": '{"url": "x"}'}, "body: expected JSON with Content-Type: application/json, but it came with no"),
        ({"content": "url=x", "headers": {"Content-Type": "text/plain"}}, "it came with Content-Type: text/plain"),
        ({"content": '{"url": x}', "headers": JSON}, "body: expected JSON, but at character 8 it is broken: Expecting"),
        ({"content": "", "headers": JSON}, "body: expected a JSON document, but there is none"),
        ({"content": b"\xff{", "headers": JSON}, "the body cannot be read; expected JSON in UTF-8"),
        ({"json": []}, "body: expected an object, got a list"),
        ({"json": {}}, "url: is needed, but missing"),
        ({"json": {"url": 5}}, "url: expected a valid string, got a number"),
        ({"json": {"url": "x", "k": 5000}}, "k: expected less than or equal to 1000, got 5000"),
        ({"json": {"url": "x", "kk": 3}}, "(unknown): there is no such field; /docs lists them"),
        (
            {"json": {"url": "x", "zones": [{"id": "a"}]}},
            "zones.0: expected a zone with `type` 'polygon' or 'line', got",
        ),
    ],
)
def test_a_body_that_cannot_be_used_is_told_what_was_expected_and_what_came(
    client: httpx.Client, sent: dict[str, Any], told: str
) -> None:
    answer = client.post("/streams", **sent)
    assert answer.status_code in (400, 422)
    assert told in answer.json()["detail"]


def test_a_refused_value_that_may_be_a_password_is_not_repeated(client: httpx.Client) -> None:
    body = {"url": SCENE, "mode": "s3same", "credentials": {"username": "u", "password": 90210}}
    answer = client.post("/streams", json=body)
    assert answer.status_code == 422
    assert not any(secret in answer.text for secret in ("s3same", "90210"))
