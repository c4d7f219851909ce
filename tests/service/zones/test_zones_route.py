"""/streams/{id}/zones and /counts over real HTTP, with people who walk through."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from service.tracks.messages import TrackMessage
from testbed.rtsp_server import RtspServer
from tests.service.conftest import RunningService
from tests.service.waiting import wait_until

SCENE = "synthetic://?people=2&width=320&height=192&fps=10"
ALL = {"id": "all", "type": "polygon", "points": [[0, 0], [1, 0], [1, 1], [0, 1]]}
MIDDLE = {"id": "middle", "type": "line", "points": [[0.5, 0], [0.5, 1]], "name": "Middle of the picture"}


def shown(zone: dict[str, Any]) -> dict[str, Any]:
    return {"name": "", "anchor": "foot", **zone}


def counts(client: httpx.Client, stream: str = "scene") -> dict[str, dict[str, Any]]:
    return {zone["id"]: zone for zone in client.get(f"/streams/{stream}/counts").json()["zones"]}


def test_stream_without_zones_has_none_and_counts_nothing(client: httpx.Client) -> None:
    client.post("/streams", json={"url": SCENE, "id": "scene"})
    assert client.get("/streams/scene/zones").json() == {"zones": []}
    assert client.get("/streams/scene/counts").json() == {"stream_id": "scene", "zones": []}


def test_zones_by_post_patch_and_put_are_the_same_zones(client: httpx.Client) -> None:
    client.post("/streams", json={"url": SCENE, "id": "scene", "zones": [ALL]})
    assert client.get("/streams/scene/zones").json() == {"zones": [shown(ALL)]}
    assert client.patch("/streams/scene", json={"zones": [MIDDLE]}).json()["zones"] == [shown(MIDDLE)]
    answer = client.put("/streams/scene/zones", json={"zones": [MIDDLE, ALL]})
    assert answer.json() == {"zones": [shown(MIDDLE), shown(ALL)]}
    assert answer.headers["etag"] == client.get("/streams/scene").headers["etag"]
    assert client.get("/streams/scene").json()["zones"] == [shown(MIDDLE), shown(ALL)]
    assert [zone["id"] for zone in client.get("/streams/scene/counts").json()["zones"]] == ["middle", "all"]


def test_change_of_another_version_is_refused(client: httpx.Client) -> None:
    client.post("/streams", json={"url": SCENE, "id": "scene"})
    old = client.get("/streams/scene/zones").headers["etag"]
    assert client.put("/streams/scene/zones", json={"zones": [ALL]}, headers={"If-Match": old}).status_code == 200
    assert client.put("/streams/scene/zones", json={"zones": []}, headers={"If-Match": old}).status_code == 412
    assert len(client.get("/streams/scene/zones").json()["zones"]) == 1


@pytest.mark.parametrize("method", ["PUT", "PATCH", "POST"])
def test_zone_that_cannot_be_is_refused_by_name_and_changes_nothing(client: httpx.Client, method: str) -> None:
    client.post("/streams", json={"url": SCENE, "id": "scene", "zones": [ALL]})
    knot = {**ALL, "id": "knot", "points": [[0, 0], [1, 1], [1, 0], [0, 1]]}
    path = {"PUT": "/streams/scene/zones", "PATCH": "/streams/scene", "POST": "/streams"}[method]
    body = {"zones": [ALL, knot]} | ({"url": SCENE} if method == "POST" else {})
    answer = client.request(method, path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert "zone 'knot': the edges" in answer.json()["detail"]
    assert answer.json()["errors"][0]["field"].startswith("zones.1")
    assert client.get("/streams/scene/zones").json() == {"zones": [shown(ALL)]}


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "zones"), ("PUT", "zones"), ("GET", "counts"), ("POST", "counts/reset")]
)
def test_unknown_stream_is_not_found(client: httpx.Client, method: str, path: str) -> None:
    answer = client.request(method, f"/streams/nobody/{path}", json={"zones": []} if method == "PUT" else None)
    assert (answer.status_code, answer.json()["code"]) == (404, "stream_not_found")


def test_people_are_counted_reset_and_told_in_the_messages(
    client: httpx.Client, service: RunningService, camera: RtspServer
) -> None:
    client.post("/streams", json={"url": camera.url(), "id": "scene", "zones": [ALL, MIDDLE]})
    with connect(service.ws_url("scene")) as socket:
        for text in socket:
            message = json.loads(text)
            TrackMessage.model_validate(message)
            entered = [event for event in message["events"] if event["type"] == "enter"]
            if entered:
                break
    assert entered[0]["zone"] == "all"
    assert {track["id"] for track in message["tracks"] if track["zones"] == ["all"]} >= {entered[0]["id"]}
    assert entered[0]["uid"] in {track["uid"] for track in message["tracks"]}

    wait_until(lambda: counts(client)["all"]["occupancy"] == 3, 20, "three walkers")
    inside = counts(client)["all"]
    assert inside["enters"] - inside["leaves"] == inside["occupancy"]
    assert inside["dwell_now"]["people"] == inside["occupancy"]
    before = client.post("/streams/scene/counts/reset").json()["zones"][0]
    assert before["enters"] >= inside["enters"]
    wait_until(lambda: counts(client)["all"]["occupancy"] == 3, 20, "three walkers counted anew")
    assert counts(client)["all"]["since"] > before["since"]
    assert counts(client)["middle"]["name"] == "Middle of the picture"


def test_counts_outlive_the_service(
    start_service: Callable[..., RunningService], camera: RtspServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("kept")
    service = start_service(state_dir=folder)
    with service.http as client:
        client.post("/streams", json={"url": camera.url(), "id": "scene", "zones": [ALL]})
        wait_until(lambda: counts(client)["all"]["enters"] >= 3, 20, "three walkers")
        service.stop()
    before = service.runtime.registry.get("scene").counter.counts().zones[0].model_dump()
    again = start_service(state_dir=folder)
    with again.http as client:
        after = counts(client)["all"]
        assert after["since"] == before["since"]
        assert after["enters"] >= before["enters"] >= 3
        assert after["leaves"] >= before["leaves"] + before["occupancy"]
        assert after["vanished"] >= before["occupancy"]
