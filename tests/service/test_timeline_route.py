"""/streams/{id}/timeline and /stills of a running service, with a real camera."""

import csv
import io
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from testbed.rtsp_server import RtspServer
from tests.service.conftest import RunningService
from tests.service.waiting import wait_until

EVERYWHERE = {"id": "hall", "name": "=Hall, 1", "type": "polygon", "points": [[0, 0], [1, 0], [1, 1], [0, 1]]}


def add_door(http: httpx.Client, camera: RtspServer, **more: Any) -> None:
    assert http.post("/streams", json={"id": "door", "url": camera.url(), "zones": [EVERYWHERE], **more}).is_success


def timeline(http: httpx.Client, **query: float) -> dict[str, Any]:
    answer = http.get("/streams/door/timeline", params=query)
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def wait_for_events(http: httpx.Client) -> dict[str, Any]:
    wait_until(lambda: timeline(http)["events"], 30, "an event in the timeline")
    return timeline(http)


def test_stream_without_frames_has_an_empty_hour(client: httpx.Client) -> None:
    client.post("/streams", json={"id": "door", "url": "rtsp://127.0.0.1:9/nothing"})
    shown = timeline(client)
    assert shown["counts"] == shown["events"] == []
    assert shown["to"] - shown["from"] == pytest.approx(3600)
    assert shown["step"] == 10
    assert list(csv.reader(io.StringIO(client.get("/streams/door/timeline/events.csv").text))) == [
        ["time", "type", "zone", "zone_name", "person", "direction", "dwell_s", "still"]
    ]


def test_people_and_events_are_told_and_exported(client: httpx.Client, camera: RtspServer) -> None:
    add_door(client, camera)
    wait_for_events(client)
    wait_until(lambda: timeline(client)["counts"], 30, "the first ten seconds")
    shown = timeline(client)
    counts = shown["counts"][0]
    assert counts["at"] % 10 == 0 and 0 < counts["people_mean"] <= counts["people_most"] <= 8
    assert counts["frames"] == counts["teacher"] + counts["student"] + counts["predicted"] > counts["teacher"] > 0
    event = shown["events"][-1]
    assert (event["type"], event["zone"], event["zone_name"], event["still"]) == ("enter", "hall", "=Hall, 1", None)
    assert abs(event["at"] - time.time()) < 120

    answer = client.get("/streams/door/timeline/counts.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="door-counts.csv"'
    row = next(csv.DictReader(io.StringIO(answer.text)))
    assert datetime.fromisoformat(row["time"]).timestamp() == counts["at"]
    assert [float(row[name]) for name in ("people_mean", "people_most")] == [
        counts["people_mean"],
        counts["people_most"],
    ]
    rows = list(csv.DictReader(io.StringIO(client.get("/streams/door/timeline/events.csv").text)))
    assert rows[-1]["zone_name"] == "'=Hall, 1"  # no spreadsheet shall take it for a formula
    assert rows[-1]["person"] == str(event["person"])
    assert timeline(client, **{"from": 1, "to": event["at"] - 60})["events"] == []


def test_stills_are_kept_when_asked_for_and_go_with_the_stream(client: httpx.Client, camera: RtspServer) -> None:
    add_door(client, camera, stills_days=2)
    still = wait_for_events(client)["events"][-1]["still"]
    answer = client.get(f"/streams/door/stills/{still}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    picture = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None and picture.shape == (384, 640, 3)
    client.post("/streams", json={"id": "yard", "url": "rtsp://127.0.0.1:9/nothing"})
    for path in (f"/streams/yard/stills/{still}", "/streams/door/stills/99999", f"/streams/door/stills/{2**63}"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "still_not_found")
    assert client.delete("/streams/door").is_success
    client.post("/streams", json={"id": "door", "url": "rtsp://127.0.0.1:9/nothing"})
    assert timeline(client)["events"] == timeline(client)["counts"] == []
    assert client.get(f"/streams/door/stills/{still}").status_code == 404


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"from": 20, "to": 10}, "invalid_span"),
        ({"from": -5}, "invalid_span"),
        ({"from": 1e300}, "invalid_span"),
        ({"to": "nan"}, "invalid_request"),
        ({"to": "yesterday"}, "invalid_request"),
    ],
)
@pytest.mark.parametrize("path", ["", "/counts.csv", "/events.csv"])
def test_span_that_is_none_is_refused(client: httpx.Client, query: dict[str, Any], code: str, path: str) -> None:
    client.post("/streams", json={"id": "door", "url": "rtsp://127.0.0.1:9/nothing"})
    answer = client.get(f"/streams/door/timeline{path}", params=query)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_timeline_is_there_again_after_a_restart(
    start_service: Callable[..., RunningService], camera: RtspServer, tmp_path: Path
) -> None:
    first = start_service(state_dir=tmp_path)
    with first.http as http:
        add_door(http, camera, stills_days=1)
        before = wait_for_events(http)["events"][-1]
    first.stop()
    with start_service(state_dir=tmp_path).http as http:
        assert before in timeline(http)["events"]
        assert http.get(f"/streams/door/stills/{before['still']}").is_success
        assert http.get("/streams/door").json()["stills_days"] == 1
