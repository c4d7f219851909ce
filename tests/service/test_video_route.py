"""Pictures over real HTTP: motion JPEG, single frames, and that watchers come and go."""

import re
from collections.abc import Iterator
from itertools import pairwise

import cv2
import httpx
import numpy as np

from testbed.rtsp_server import RtspServer
from tests.service.conftest import SCENE, RunningService
from tests.service.waiting import wait_for_phase, wait_until


def parts(answer: httpx.Response) -> Iterator[tuple[int, np.ndarray]]:
    """(seq, picture) of each part of a motion JPEG."""
    assert answer.headers["content-type"] == "multipart/x-mixed-replace; boundary=frame"
    data = b""
    for chunk in answer.iter_bytes():
        data += chunk
        while (end := data.find(b"\r\n\r\n")) >= 0:
            head = data[:end].decode()
            length = int(re.search(r"Content-Length: (\d+)", head)[1])  # type: ignore[index]
            if len(data) < end + 4 + length:
                break
            jpeg, data = data[end + 4 : end + 4 + length], data[end + 4 + length :]
            yield int(re.search(r"X-Seq: (\d+)", head)[1]), picture_of(jpeg)  # type: ignore[index]


def picture_of(jpeg: bytes) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR))


def test_stream_without_a_frame_has_no_picture(client: httpx.Client) -> None:
    client.post("/streams", json={"url": "rtsp://127.0.0.1:9/dead", "id": "dead"})
    answer = client.get("/streams/dead/frame.jpg")
    assert (answer.status_code, answer.json()["code"]) == (404, "no_frame_yet")


def test_video_shows_one_picture_after_the_other(client: httpx.Client, camera: RtspServer) -> None:
    client.post("/streams", json={"url": camera.url(), "id": "door"})
    with client.stream("GET", "/streams/door/video") as answer:
        stream = parts(answer)
        seen = [next(stream) for _ in range(5)]
    assert all(before[0] < after[0] for before, after in pairwise(seen))
    assert {picture.shape for _, picture in seen} == {(SCENE.height, SCENE.width, 3)}


def test_frame_comes_with_and_without_boxes(client: httpx.Client, camera: RtspServer) -> None:
    client.post("/streams", json={"url": camera.url(), "id": "door"})
    wait_until(lambda: client.get("/streams/door").json()["stats"]["people"] == 3, 10, "three people")
    annotated = client.get("/streams/door/frame.jpg")
    plain = client.get("/streams/door/frame.jpg?boxes=false")
    for answer in (annotated, plain):
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["cache-control"] == "no-store"
        assert int(answer.headers["x-seq"]) > 0
    corner = picture_of(annotated.content)[:40, :120].max() - picture_of(plain.content)[:40, :120].max()
    assert corner > 100  # the badge is drawn on dark ground


def test_small_frame_is_small_and_has_boxes(client: httpx.Client) -> None:
    client.post("/streams", json={"url": "synthetic://?people=1&width=960&height=540&fps=10", "id": "scene"})
    wait_until(lambda: client.get("/streams/scene").json()["stats"]["frames"], 20, "a frame")
    picture = picture_of(client.get("/streams/scene/frame.jpg?small=true").content)
    assert picture.shape == (270, 480, 3)


def test_video_ends_when_its_stream_is_removed(client: httpx.Client, camera: RtspServer) -> None:
    client.post("/streams", json={"url": camera.url(), "id": "door"})
    wait_for_phase(client, "door", "running")
    with client.stream("GET", "/streams/door/video?boxes=false") as answer:
        stream = parts(answer)
        next(stream)
        with httpx.Client(base_url=client.base_url) as other:
            assert other.delete("/streams/door").status_code == 204
        assert len(list(stream)) < 20


def test_watchers_who_leave_cost_nothing(client: httpx.Client, service: RunningService, camera: RtspServer) -> None:
    client.post("/streams", json={"url": camera.url(), "id": "door"})
    feed = service.runtime.registry.get("door").feed
    for _ in range(3):
        with client.stream("GET", "/streams/door/video") as answer:
            next(parts(answer))
    wait_until(lambda: not feed._waiting, 10, "the watchers to be forgotten")
