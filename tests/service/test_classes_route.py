"""A pair that sees three classes, in a running service: who is what, and what of it is counted and exported."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from edge.tracking.mot_format import parse_mot
from service.settings import Settings
from service.tracks.messages import TrackMessage
from testbed.rtsp_server import RtspServer
from tests.service.conftest import SIZE, RunningService, run_service
from tests.service.waiting import wait_until
from tests.support.tiny_pair import CLASSES, write_pair_of_classes

ALL = {"id": "all", "type": "polygon", "points": [[0, 0], [1, 0], [1, 1], [0, 1]]}
CARS = {**ALL, "id": "cars", "classes": ["car"]}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """Its student does not say what it sees."""
    models = tmp_path_factory.mktemp("models")
    write_pair_of_classes(models, SIZE)
    running = run_service(
        Settings(models=models, pair="tiny", size="320x192", device="cpu", allow_loopback=True, state_dir=models)
    )
    yield running
    running.stop()


@pytest.fixture(scope="module")
def door(service: RunningService, camera: RtspServer) -> Iterator[httpx.Client]:
    """The service with a stream of the three walkers, all of them counted."""
    with service.http as http:
        http.post("/streams", json={"url": camera.url(), "id": "door", "k": 3, "zones": [ALL, CARS]})
        wait_until(lambda: counts(http)["all"]["occupancy"] == 3, 20, "three walkers")
        yield http


def counts(http: httpx.Client) -> dict[str, dict[str, Any]]:
    return {zone["id"]: zone for zone in http.get("/streams/door/counts").json()["zones"]}


def test_the_stream_says_what_is_seen_and_zones_what_they_take(door: httpx.Client) -> None:
    shown = door.get("/streams/door").json()
    assert shown["classes"] == [*CLASSES]
    assert [zone.get("classes") for zone in shown["zones"]] == [None, ["car"]]


def test_every_track_and_event_has_its_class(door: httpx.Client, service: RunningService) -> None:
    of: dict[str, str] = {}
    with connect(service.ws_url("door")) as socket:
        for _ in range(30):
            message = json.loads(socket.recv(10))
            TrackMessage.model_validate(message)
            for track in message["tracks"]:
                assert of.setdefault(track["uid"], track["class"]) == track["class"]
                assert ("cars" in track["zones"]) <= (track["class"] == "car")
            assert all(event["class"] in CLASSES for event in message["events"] if "uid" in event)
    assert {*of.values()} == {*CLASSES}


def test_a_zone_counts_those_that_it_takes(door: httpx.Client) -> None:
    assert counts(door)["cars"]["occupancy"] == 1
    only_dogs = {**CARS, "id": "dogs", "classes": ["dog"]}
    door.put("/streams/door/zones", json={"zones": [ALL, CARS, only_dogs]})
    wait_until(lambda: counts(door)["dogs"]["occupancy"] == 1, 20, "the dog")


def test_a_zone_for_what_is_never_seen_is_refused(door: httpx.Client) -> None:
    cows = {**CARS, "id": "cows", "classes": ["car", "cow"]}
    for answer in (
        door.put("/streams/door/zones", json={"zones": [ALL, cows]}),
        door.post("/streams", json={"url": "synthetic://", "id": "field", "zones": [cows]}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, "class_not_seen")
        assert answer.json()["detail"].endswith(
            "zone 'cows' asks for class 'cow'; the networks here see person, car, dog"
        )
    assert door.get("/streams/field").status_code == 404


def test_exports_tell_classes(door: httpx.Client) -> None:
    boxes = parse_mot(door.get("/streams/door/export?format=mot").text.splitlines())
    assert {*boxes.classes.tolist()} == {1, 3, 14}
    document = door.get("/streams/door/export?format=coco").json()
    assert [(one["id"], one["name"]) for one in document["categories"]] == [(1, "person"), (3, "car"), (14, "dog")]


def test_the_timeline_tells_classes(door: httpx.Client) -> None:
    wait_until(lambda: len(door.get("/streams/door/timeline").json()["events"]) >= 4, 20, "events on the disk")
    events = door.get("/streams/door/timeline").json()["events"]
    assert {event["class"] for event in events if event["zone"] == "all"} == {*CLASSES}
    assert {event["class"] for event in events if event["zone"] == "cars"} == {"car"}
    rows = [*csv.DictReader(io.StringIO(door.get("/streams/door/timeline/events.csv").text))]
    assert [*rows[0]][-1] == "class" and {row["class"] for row in rows} == {*CLASSES}


def test_the_documents_know_the_fields(door: httpx.Client) -> None:
    schemas = door.get("/openapi.json").json()["components"]["schemas"]
    assert "classes" in schemas["StreamView"]["properties"] and "classes" not in schemas["StreamView"]["required"]
    assert "class" in schemas["EventView"]["properties"] and "class" not in schemas["EventView"]["required"]


def test_where_people_alone_are_seen_nothing_new_is_told(tmp_path: Path, camera: RtspServer, models: Path) -> None:
    people = run_service(
        Settings(models=models, pair="tiny", size="320x192", device="cpu", allow_loopback=True, state_dir=tmp_path)
    )
    try:
        with people.http as http:
            http.post("/streams", json={"url": camera.url(), "id": "door", "zones": [ALL]})
            wait_until(lambda: http.get("/streams/door/timeline").json()["events"], 20, "events on the disk")
            shown, events = http.get("/streams/door").json(), http.get("/streams/door/timeline").json()["events"]
            assert "classes" not in shown and "classes" not in shown["zones"][0] and "class" not in events[0]
            message = http.get("/streams/door/tracks").json()["messages"][-1]
            assert all(track["class"] == "person" for track in message["tracks"])
            assert all("class" not in event for event in message["events"])
            assert not http.get("/streams/door/export?format=mot").text.splitlines()[0].endswith(",1,-1")
            assert "class" not in http.get("/streams/door/timeline/events.csv").text.splitlines()[0]
    finally:
        people.stop()
