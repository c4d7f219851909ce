"""Streams that adapt, in a running service: with scripted rounds, and once with a student that really learns."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import onnx
import pytest
from websockets.sync.client import connect

from service.adaptation import gathering, training
from service.adaptation import settings as room
from testbed.rtsp_server import RtspServer
from tests.service.conftest import RunningService
from tests.service.waiting import wait_for_phase, wait_until
from tests.support.tiny_pair import signature, tiny_model

Start = Callable[..., tuple[RunningService, httpx.Client]]
QUICK = {"adapt_every_min": 0.02, "adapt_minutes": 0.01, "adapt_mb": 8}


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Rounds end as the test says, and begin after a few short stretches."""
    (tmp_path / "memory").mkdir()
    monkeypatch.setattr(training, "MEMORY", tmp_path / "memory")
    monkeypatch.setattr(gathering, "LONGEST", 6)
    monkeypatch.setattr(gathering, "SHORTEST", 4)
    monkeypatch.setattr(training, "PROGRAM", "tests.support.scripted_round")
    monkeypatch.setenv("SCRIPTED_ROUND_SEEN", str(tmp_path / "seen.json"))
    return lambda name: monkeypatch.setenv("SCRIPTED_ROUND", name)


@pytest.fixture
def start(
    start_service: Callable[..., RunningService], camera: RtspServer
) -> Iterator[Callable[..., tuple[RunningService, httpx.Client]]]:
    """A service with one stream, `door`, and a client of it."""
    with ExitStack() as clients:

        def begin(**more: Any) -> tuple[RunningService, httpx.Client]:
            service = start_service(**QUICK | more)
            http = clients.enter_context(service.http)
            http.post("/streams", json={"id": "door", "url": camera.url(), "adapt": True}).raise_for_status()
            return service, http

        yield begin


def adaptation(http: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = http.get("/streams/door").raise_for_status().json()["adaptation"]
    return found


def wait_for_round(http: httpx.Client, number: int = 1) -> dict[str, Any]:
    wait_until(lambda: adaptation(http)["rounds"] >= number, 60, f"round {number}")
    return adaptation(http)


class Subscriber:
    """All messages of `door`, from the first on."""

    def __init__(self, service: RunningService) -> None:
        self.messages: list[dict[str, Any]] = []
        self._over = threading.Event()
        self._url = service.ws_url("door") + "?from_seq=1"
        self._thread = threading.Thread(target=self._follow)

    def __enter__(self) -> "Subscriber":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(20)

    def _follow(self) -> None:
        with connect(self._url) as stream:
            while not self._over.is_set():
                self.messages.append(json.loads(stream.recv(20)))

    def events(self, *types: str) -> list[dict[str, Any]]:
        return [event for one in self.messages for event in one["events"] if event["type"] in types]


def threads(beginning: str) -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(beginning)]


def test_a_stream_that_does_not_adapt_costs_nothing(
    start_service: Callable[..., RunningService], camera: RtspServer, tmp_path: Path
) -> None:
    service = start_service(**QUICK)
    with service.http as http:
        http.post("/streams", json={"id": "door", "url": camera.url()}).raise_for_status()
        wait_for_phase(http, "door", "running")
        found = http.get("/streams/door").json()
        assert found["adapt"] is False and "adaptation" not in found
        assert http.post("/streams/door/adaptation", json={"student": "shipped"}).json()["code"] == "adapt_is_off"
        assert b"atttrack_student{" not in http.get("/metrics").content
    stream = service.runtime.registry.get("door")
    assert (stream.adaptation.gathering, stream.adaptation.learning, threads("adaptation")) == (None, None, [])
    assert not (service.runtime.settings.store_path.parent / "students").exists()


def test_a_better_student_is_taken_between_two_frames_and_everybody_keeps_their_id(
    start: Start, script: Callable[[str], None]
) -> None:
    script("better")
    service, http = start()
    with Subscriber(service) as subscriber:
        found = wait_for_round(http)
        assert (found["student"], found["before"], found["last"]["verdict"]) == (1, 0, "better")
        assert found["last"]["scores"]["after"] == {"mota": 0.6, "idf1": 0.6}
        script("not_better")
        wait_until(lambda: subscriber.events("student_adapted"), 20, "the event")
        count = len(subscriber.messages)
        wait_until(lambda: len(subscriber.messages) > count + 20, 30, "frames after the change-over")
    (event,) = subscriber.events("student_adapted")
    assert (event["student"], event["verdict"]) == (1, "better")
    place = next(i for i, one in enumerate(subscriber.messages) if event in one["events"])
    around = subscriber.messages[max(0, place - 8) : place + 8]
    assert [one["seq"] for one in subscriber.messages] == list(range(1, len(subscriber.messages) + 1)), "none missed"
    # The clip's people leap back at its end; within a pass everybody keeps their id.
    for before, after in pairwise(around):
        if after["frame_id"] == before["frame_id"] + 1 and len(before["tracks"]) == len(after["tracks"]) == 3:
            assert {one["id"] for one in before["tracks"]} == {one["id"] for one in after["tracks"]}
    assert {one["epoch"] for one in around} == {1}
    metrics = http.get("/metrics").text
    assert 'atttrack_student{stream="door"} 1.0' in metrics
    assert 'atttrack_adaptation_rounds_total{stream="door",verdict="better"} 1.0' in metrics
    assert 'atttrack_adaptation_sample_bytes{stream="door"}' in metrics


@pytest.mark.parametrize(
    ("ends", "verdict", "kind"),
    [
        ("not_better", "not_better", "student_kept"),
        ("too_few", "too_few", "student_kept"),
        ("dies", "failed", "adaptation_failed"),
        ("complains", "failed", "adaptation_failed"),
        ("no-student", "failed", "adaptation_failed"),
    ],
)
def test_otherwise_the_stream_goes_on_with_its_student_and_says_so(
    start: Start, script: Callable[[str], None], ends: str, verdict: str, kind: str
) -> None:
    script(ends)
    service, http = start()
    with Subscriber(service) as subscriber:
        found = wait_for_round(http)
        assert (found["student"], found["before"], found["last"]["verdict"]) == (0, None, verdict)
        wait_until(lambda: subscriber.events(kind), 20, "the event")
        count = len(subscriber.messages)
        wait_until(lambda: len(subscriber.messages) > count + 5, 30, "frames")
    assert {event["student"] for event in subscriber.events(kind)} == {0}
    assert not list(training.MEMORY.glob(f"{training.PREFIX}*"))


def test_where_the_pairs_own_student_has_become_better_it_is_back(start: Start, script: Callable[[str], None]) -> None:
    script("better")
    service, http = start()
    with Subscriber(service) as subscriber:
        wait_for_round(http)
        script("shipped")
        wait_until(lambda: subscriber.events("student_reverted"), 60, "the change back")
        found = adaptation(http)
    (back, *_) = subscriber.events("student_reverted")
    assert (back["student"], back["verdict"]) == (0, "shipped")
    assert found["student"] == 0 and found["before"] is not None
    assert service.runtime.registry.get("door").student is None


def test_one_can_go_back_and_forth(start: Start, script: Callable[[str], None]) -> None:
    script("better")
    _, http = start()
    assert http.post("/streams/door/adaptation", json={"student": "before"}).json()["code"] == "no_student_before"
    wait_for_round(http)
    script("not_better")
    back = http.post("/streams/door/adaptation", json={"student": "shipped"}).raise_for_status().json()
    assert (back["student"], back["before"]) == (0, 1)
    again = http.post("/streams/door/adaptation", json={"student": "before"}).raise_for_status().json()
    assert (again["student"], again["before"]) == (1, 0)
    assert http.post("/streams/door/adaptation", json={"student": "best"}).status_code == 422
    assert http.post("/streams/nobody/adaptation", json={"student": "shipped"}).status_code == 404


def test_streams_of_a_group_learn_one_student_together(
    start_service: Callable[..., RunningService], camera: RtspServer, script: Callable[[str], None], tmp_path: Path
) -> None:
    script("better")
    service = start_service(**QUICK)
    with service.http as http:
        for name in ("door", "hall", "alone"):
            body = {"id": name, "url": camera.url(), "adapt": name != "alone", "adapt_group": "lobby"}
            http.post("/streams", json=body).raise_for_status()
        wait_for_round(http)
        script("hangs")
        learnt = json.loads((tmp_path / "seen.json").read_text())["pictures"]
        assert {name.partition(".")[0] for name in learnt} == {"door", "hall"}
        students = {name: service.runtime.registry.get(name).student for name in ("door", "hall", "alone")}
        assert students["door"] is students["hall"] is not None and students["alone"] is None
        pipeline_students = {
            name: http.get(f"/streams/{name}").json()["adaptation"]["student"] for name in ("door", "hall")
        }
        assert pipeline_students == {"door": 1, "hall": 1}
        http.patch("/streams/alone", json={"adapt": True}).raise_for_status()
        assert service.runtime.registry.get("alone").student is students["door"], "who joins has it at once"
        http.patch("/streams/hall", json={"adapt_group": None}).raise_for_status()
        assert http.get("/streams/hall").json()["adaptation"]["student"] == 0, "it begins on its own"
        http.delete("/streams/door").raise_for_status()
        assert service.runtime.registry.get("alone").student is students["door"]
        folder = service.runtime.settings.store_path.parent / "students"
        assert (folder / "group-lobby" / "1.onnx").is_file()
        http.patch("/streams/alone", json={"adapt": False}).raise_for_status()
        assert not (folder / "group-lobby").exists()


def test_a_student_is_there_again_after_a_restart_and_gone_when_the_stream_stops_to_adapt(
    start: Start, script: Callable[[str], None], tmp_path: Path
) -> None:
    script("better")
    service, http = start(state_dir=tmp_path / "state")
    wait_for_round(http)
    script("hangs")
    service.stop()
    script("not_better")
    service, http = start(state_dir=tmp_path / "state")
    wait_until(lambda: adaptation(http)["student"] == 1, 20, "the student")
    stream = service.runtime.registry.get("door")
    wait_until(lambda: stream.student is not None, 20, "the student to be in force")
    students = tmp_path / "state" / "students" / "stream-door"
    assert (students / "1.onnx").is_file()
    http.patch("/streams/door", json={"adapt": False}).raise_for_status()
    assert "adaptation" not in http.get("/streams/door").json()
    assert stream.student is None and stream.adaptation.gathering is None and not students.exists()
    http.patch("/streams/door", json={"adapt": True}).raise_for_status()
    assert adaptation(http)["student"] == 0
    http.delete("/streams/door").raise_for_status()
    assert not students.exists()


def test_a_round_under_way_ends_with_its_stream_and_with_the_service(
    start: Start, script: Callable[[str], None], tmp_path: Path
) -> None:
    script("hangs")
    service, http = start()
    seen = tmp_path / "seen.json"

    def begun() -> int:
        wait_until(seen.exists, 60, "a round")
        pid = int(json.loads(seen.read_text())["pid"])
        seen.unlink()
        return pid

    def gone(pid: int) -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    pid = begun()
    assert (adaptation(http)["phase"], adaptation(http)["doing"]) == ("learning", "the student learns")
    url = http.get("/streams/door").json()["url"]
    http.delete("/streams/door").raise_for_status()
    wait_until(lambda: gone(pid), 20, "the round to end")
    http.post("/streams", json={"id": "door", "url": url, "adapt": True}).raise_for_status()
    pid = begun()
    service.stop()
    assert gone(pid)
    assert not list(training.MEMORY.glob(f"{training.PREFIX}*"))


def test_without_torch_it_is_refused_with_what_to_install(
    start_service: Callable[..., RunningService], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "find_spec", lambda name: None if name == "torch" else object())
    scene = {"id": "door", "url": "synthetic://?people=1&width=320&height=192&fps=5"}
    with start_service(**QUICK).http as http:
        refused = http.post("/streams", json={**scene, "adapt": True})
        assert (refused.status_code, refused.json()["code"]) == (422, "adapt_not_available")
        assert "torch must be installed here: pip install -e '.[cpu,export]'" in refused.json()["detail"]
        http.post("/streams", json=scene).raise_for_status()
        assert http.patch("/streams/door", json={"adapt": True}).json()["code"] == "adapt_not_available"
        assert http.patch("/streams/door", json={"adapt": False}).status_code == 200


def test_a_machine_that_has_lost_torch_tracks_on_and_says_what_is_missing(
    start: Start, script: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script("better")
    start(state_dir=tmp_path / "state")[0].stop()
    monkeypatch.setattr(room, "find_spec", lambda name: None)
    _, http = start(state_dir=tmp_path / "state")  # posted once more, the stream is there already
    wait_for_phase(http, "door", "running")
    found = adaptation(http)
    assert found["phase"] == "unavailable" and "torch" in found["doing"]


@pytest.fixture(scope="module")
def learning_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small teacher, and the shipped student as one of its pair."""
    from export.adapt.student import SHIPPED_STUDENT, without_looks

    folder = tmp_path_factory.mktemp("learning")
    teacher = replace(signature("teacher", (320, 192)), appearance="none")
    onnx.save(tiny_model(teacher), folder / "tiny-teacher-320x192.onnx")
    without_looks(SHIPPED_STUDENT, teacher, folder / "tiny-student.onnx")
    return folder


@pytest.mark.training
def test_a_student_learns_its_camera_while_it_runs(start: Start, learning_models: Path) -> None:
    _, http = start(models=learning_models, size="160x96", adapt_share=1.0)
    wait_until(lambda: adaptation(http)["rounds"] >= 1, 300, "a round")
    found = adaptation(http)
    assert found["last"]["verdict"] in ("better", "not_better"), found
    assert found["last"]["sightings"] > 50 and found["last"]["learnt"] >= 48 and found["last"]["compared"] >= 24
    assert found["student"] == (1 if found["last"]["verdict"] == "better" else 0)
    wait_for_phase(http, "door", "running")
