"""Tracks by a real WebSocket client, from real video, compared with the truth of what was filmed."""

import asyncio
import json
from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from service.messages import TrackMessage
from tests.service.conftest import CLIP_FRAMES, SCENE, RunningService
from tests.service.waiting import wait_for_phase, wait_until
from tests.support.rtsp_server import RtspServer


def receive(socket: ClientConnection, count: int) -> list[TrackMessage]:
    return [TrackMessage.model_validate_json(socket.recv(10), strict=True) for _ in range(count)]


def receive_all(socket: ClientConnection) -> tuple[list[TrackMessage], int]:
    """Everything until the service closes, and its close code."""
    messages = []
    while True:
        try:
            messages += receive(socket, 1)
        except ConnectionClosed as closed:
            assert closed.rcvd is not None
            return messages, closed.rcvd.code


def test_unknown_stream_is_refused_before_the_handshake(service: RunningService) -> None:
    with pytest.raises(InvalidStatus) as refused, connect(service.ws_url("nobody")):
        pass
    assert refused.value.response.status_code == 404
    assert json.loads(refused.value.response.body)["code"] == "stream_not_found"


def test_camera_gives_a_message_per_frame_in_the_rhythm_of_k(
    client: httpx.Client, service: RunningService, camera: RtspServer
) -> None:
    client.post("/streams", json={"url": camera.url(), "id": "door", "k": 3})
    with connect(service.ws_url("door")) as socket:
        messages = receive(socket, 30)
    assert [one.seq for one in messages] == list(range(messages[0].seq, messages[0].seq + 30))
    assert all(one.frame_id < later.frame_id for one, later in pairwise(messages))
    assert {(one.stream_id, one.epoch, one.k, one.gap) for one in messages} == {("door", 1, 3, 0)}
    assert {(one.width, one.height) for one in messages} == {(SCENE.width, SCENE.height)}
    keyframes = [one.seq for one in messages if one.kind == "teacher"]
    assert np.diff(keyframes).tolist() == [3] * (len(keyframes) - 1)
    for one in messages:
        assert 0 <= one.ts_out - one.ts_capture < 5
        for track in one.tracks:
            assert track.origin == one.kind
            assert (track.since_teacher == 0) == (one.kind == "teacher")


def test_tracks_stand_where_people_are(client: httpx.Client, service: RunningService, camera: RtspServer) -> None:
    client.post("/streams", json={"url": camera.url(), "id": "door"})
    with connect(service.ws_url("door")) as socket:
        message = next(one for one in receive(socket, 20) if one.kind == "student" and len(one.tracks) == 3)
    assert message.pts is not None
    boxes = np.array([track.bbox for track in message.tracks])
    misses = []  # the clip loops, so which of its frames this is follows from the boxes alone
    for index in range(CLIP_FRAMES):
        truth = SCENE.xyxy(index / SCENE.frame_rate)
        misses.append(np.abs(truth[:, None] - boxes[None]).max(axis=2).min(axis=1).max())
    assert min(misses) < 12
    assert len({track.uid for track in message.tracks}) == 3


def test_file_is_tracked_without_loss_until_its_end(start_service: Callable[..., RunningService]) -> None:
    service = start_service(k=4, subscriber_queue=CLIP_FRAMES)
    with service.http as http:
        http.post("/streams", json={"url": "walk.mp4", "id": "file"})
        with connect(service.ws_url("file")) as socket:
            wait_for_phase(http, "file", "stopped")
            wait_until(lambda: http.get("/streams/file").json()["stats"]["fps"] == 0, 10, "the last frame")
            http.delete("/streams/file")
            messages, code = receive_all(socket)
    assert code == 1000
    assert {one.clock for one in messages} == {"media"}
    assert messages[-1].seq == messages[-1].frame_id + 1 - _dropped(messages)
    assert [one.seq for one in messages] == list(range(messages[0].seq, messages[-1].seq + 1))


def _dropped(messages: list[TrackMessage]) -> int:
    """Frames that the device was too slow for on this machine."""
    return messages[-1].frame_id + 1 - messages[-1].seq


def test_slow_subscriber_is_told_its_gap_and_the_fast_one_loses_nothing(
    start_service: Callable[..., RunningService],
) -> None:
    service = start_service(subscriber_queue=2)
    url = "synthetic://?people=1&width=320&height=192&fps=20"
    with service.http as http:
        http.post("/streams", json={"url": url, "id": "scene"})
        with connect(service.ws_url("scene")) as fast:
            hub, registry = service.runtime.hub, service.runtime.registry
            slow = hub.subscribe("scene")  # nobody takes from it
            messages = receive(fast, 20)
            assert registry.get("scene").view().stats.subscribers == 2
            after_gap = asyncio.run_coroutine_threadsafe(slow.get(), service.runtime.loop).result(5)
            service.runtime.loop.call_soon_threadsafe(hub.unsubscribe, "scene", slow)
    assert {one.gap for one in messages} == {0}
    assert TrackMessage.model_validate_json(after_gap).gap >= 15


def test_what_a_client_says_is_ignored(client: httpx.Client, service: RunningService, camera: RtspServer) -> None:
    client.post("/streams", json={"url": camera.url(), "id": "door"})
    with connect(service.ws_url("door")) as socket:
        socket.send("hello")
        socket.send(b"\x00" * 1000)
        assert receive(socket, 5)


def test_subscribers_who_leave_are_forgotten(client: httpx.Client, service: RunningService, camera: RtspServer) -> None:
    client.post("/streams", json={"url": camera.url(), "id": "door"})
    with ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(connect(service.ws_url("door")))
        wait_until(lambda: subscribers(client) == 5, 10, "five subscribers")
    wait_until(lambda: subscribers(client) == 0, 10, "nobody")


def subscribers(client: httpx.Client) -> Any:
    return client.get("/streams/door").json()["stats"]["subscribers"]
