"""Tracks by a real WebSocket client, from real video, compared with the truth of what was filmed."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import redis
from pydantic import SecretStr
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from edge.tracking.mot_format import read_mot
from service.routes.tracks import TrackList
from service.tracks.messages import Published, TrackMessage
from testbed.rtsp_server import RtspServer
from tests.service.conftest import CLIP_FRAMES, SCENE, RunningService
from tests.service.sinks.brokers import redis_server
from tests.service.waiting import wait_for_phase, wait_until

SMALL_SCENE = "synthetic://?people=3&width=320&height=192&fps=20"


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
        seen_by = {track.origin for track in one.tracks}  # on a keyframe with time for both looks, the student first
        if one.kind == "student":
            seen_by.discard("predicted")  # whom only the keyframe saw
        assert seen_by <= {one.kind} or (one.kind, seen_by) == ("teacher", {"student"})
        for track in one.tracks:
            assert (track.since_teacher == 0) == (one.kind == "teacher")


def test_predicted_frames_tell_of_the_same_people_and_for_how_long_nobody_saw_them(
    client: httpx.Client, service: RunningService, camera: RtspServer
) -> None:
    client.post("/streams", json={"url": camera.url(), "id": "door", "k": 6, "student_every": 3})
    with connect(service.ws_url("door")) as socket:
        messages = receive(socket, 40)
    assert {one.kind for one in messages} == {"teacher", "student", "predicted"}
    for before, one in pairwise(messages):
        if one.kind == "predicted":
            assert {track.id for track in one.tracks} == {track.id for track in before.tracks}
            assert all(track.origin == "predicted" and track.unseen > 0 for track in one.tracks)
            assert not [event for event in one.events if event.type in ("new", "end")]


def test_a_stream_may_become_adaptive_while_it_runs(
    client: httpx.Client, service: RunningService, camera: RtspServer
) -> None:
    client.post("/streams", json={"url": camera.url(), "id": "door", "k": 1})
    with connect(service.ws_url("door")) as socket:
        assert {one.kind for one in receive(socket, 5)} == {"teacher"}
        changed = {"schedule": "adaptive", "quality": 0.3, "longest_s": 0.8}
        assert client.patch("/streams/door", json=changed).json()["quality"] == 0.3
        messages = receive(socket, 60)
    adaptive = [one for one in messages if one.schedule == "adaptive"]
    kinds = [one.kind for one in adaptive]
    assert kinds.count("predicted") > len(kinds) / 2
    looks = [one.ts_capture for one in adaptive if one.kind == "teacher"]
    assert all(later - one < 0.8 + 0.5 for one, later in pairwise(looks)), "never long without a teacher"


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


def test_clients_who_never_read_cost_the_others_nothing_and_bounded_memory(
    start_service: Callable[..., RunningService],
) -> None:
    service = start_service(subscriber_queue=8)
    with service.http as http, ExitStack() as stack:
        http.post("/streams", json={"url": SMALL_SCENE, "id": "scene"})
        for _ in range(3):
            stack.enter_context(stalled_client(service, "scene"))
        fast = [stack.enter_context(connect(service.ws_url("scene"), max_queue=None)) for _ in range(5)]
        hub = service.runtime.hub
        wait_until(lambda: hub.subscribers("scene") == 8, 10, "all subscribers")
        filler = "x" * 100_000  # so that the network's buffers are full soon
        first = receive(fast[0], 1)[0]
        for seq in range(10**6, 10**6 + 60):
            body = first.model_copy(update={"seq": seq, "run": filler})
            hub.publish(Published("scene", seq, 0.0, body.model_dump_json(exclude_none=True).encode()))
            for socket in fast:
                while (message := receive(socket, 1)[0]).seq < seq:
                    assert message.gap == 0
                assert (message.seq, message.gap) == (seq, 0)
        assert hub.lost("scene") > 3 * 20
        assert service.runtime.hub.subscribers("scene") == 8


def test_client_who_never_reads_is_cut_off_after_a_while(
    start_service: Callable[..., RunningService], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.server.UNREAD_S", 0.5)
    service = start_service(subscriber_queue=8)
    with service.http as http, ExitStack() as stack:
        http.post("/streams", json={"url": SMALL_SCENE, "id": "scene"})
        stack.enter_context(stalled_client(service, "scene"))
        fast = stack.enter_context(connect(service.ws_url("scene"), max_queue=None, max_size=None))
        hub, filler = service.runtime.hub, b"x" * 1_000_000 + b'"gap":0}'
        for seq in range(10**6, 10**6 + 20):
            hub.publish(Published("scene", seq, 0.0, filler))
        wait_until(lambda: hub.subscribers("scene") == 1, 20, "the client to be cut off")
        assert fast.recv(10)


@contextmanager
def stalled_client(service: RunningService, stream_id: str) -> Iterator[None]:
    """A WebSocket client that says hello and never reads again."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", service.port))
        client.sendall(
            f"GET /streams/{stream_id}/tracks HTTP/1.1\r\nHost: 127.0.0.1:{service.port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        assert client.recv(12).endswith(b"101")
        yield


def test_who_comes_back_gets_what_was_missed(client: httpx.Client, service: RunningService) -> None:
    client.post("/streams", json={"url": SMALL_SCENE, "id": "scene"})
    with connect(service.ws_url("scene")) as socket:
        before = receive(socket, 3)[-1]
    wait_until(lambda: client.get("/streams/scene").json()["stats"]["frames"] > before.seq + 5, 10, "frames")
    with connect(f"{service.ws_url('scene')}?from_seq={before.seq + 1}") as socket:
        after = receive(socket, 12)
    assert [one.seq for one in after] == list(range(before.seq + 1, before.seq + 13))
    assert {(one.gap, one.run) for one in after} == {(0, before.run)}


def test_filters_choose_fields_and_rate(client: httpx.Client, service: RunningService) -> None:
    client.post("/streams", json={"url": SMALL_SCENE, "id": "scene"})
    with connect(f"{service.ws_url('scene')}?fields=id,bbox,ts_capture&max_rate=4") as socket:
        bodies = [json.loads(socket.recv(10)) for _ in range(4)]
    for body in bodies:
        assert set(body) == {"schema", "stream_id", "seq", "ts_capture", "tracks", "gap"}
        assert all(set(track) == {"id", "bbox"} for track in body["tracks"])
    slots = [int(body["ts_capture"] * 4) for body in bodies]
    assert len(set(slots)) == len(slots)
    assert all(later["seq"] > one["seq"] + 1 for one, later in pairwise(bodies[1:]))


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/streams/nobody/tracks", "stream_not_found"),
        ("/streams/scene/tracks?fields=boxes", "invalid_view"),
        ("/streams/scene/tracks?max_rate=0", "invalid_view"),
        ("/streams/scene/tracks?from_seq=0", "invalid_request"),
        ("/streams/scene/tracks?from_seq=x", "invalid_request"),
        ("/tracks?streams=scene,nobody", "stream_not_found"),
        ("/tracks?streams=", "invalid_view"),
    ],
)
def test_bad_wishes_are_refused_before_the_handshake(
    client: httpx.Client, service: RunningService, path: str, code: str
) -> None:
    client.post("/streams", json={"url": SMALL_SCENE, "id": "scene"})
    with pytest.raises(InvalidStatus) as refused, connect(f"ws://127.0.0.1:{service.port}{path}"):
        pass
    assert json.loads(refused.value.response.body)["code"] == code
    if path.startswith("/streams"):
        assert client.get(path).json()["code"] == code


def test_one_socket_follows_several_streams_or_all(client: httpx.Client, service: RunningService) -> None:
    for name in ("a", "b", "c"):
        client.post("/streams", json={"url": SMALL_SCENE, "id": name})
    url = f"ws://127.0.0.1:{service.port}/tracks"
    with connect(f"{url}?streams=a,b") as two, connect(url) as everything:
        client.post("/streams", json={"url": SMALL_SCENE, "id": "late"})
        assert wait_for_streams(two, {"a", "b"}) == {"a", "b"}
        assert wait_for_streams(everything, {"a", "b", "c", "late"}) == {"a", "b", "c", "late"}
        client.delete("/streams/a")
        assert wait_for_streams(two, {"b"}) <= {"a", "b"}
        client.delete("/streams/b")
        assert receive_all(two)[1] == 1000
        assert "late" in wait_for_streams(everything, {"c", "late"})


def wait_for_streams(socket: ClientConnection, wanted: set[str]) -> set[str]:
    """Receive until all `wanted` streams were there; return all that came."""
    seen: set[str] = set()
    while not wanted <= seen:
        seen |= {receive(socket, 1)[0].stream_id}
    return seen


def test_newest_messages_by_get(client: httpx.Client, service: RunningService) -> None:
    client.post("/streams", json={"url": SMALL_SCENE, "id": "scene"})
    wait_until(lambda: client.get("/streams/scene").json()["stats"]["frames"] > 6, 20, "frames")
    messages = TrackList.model_validate_json(client.get("/streams/scene/tracks?last=5").content, strict=True).messages
    assert np.diff([one.seq for one in messages]).tolist() == [1] * 4
    assert len(client.get("/streams/scene/tracks").json()["messages"]) == 1
    few = client.get("/streams/scene/tracks?last=3&fields=events").json()["messages"]
    assert [set(one) for one in few] == [{"schema", "stream_id", "seq", "events", "gap"}] * 3
    assert client.get("/streams/scene/tracks?last=0").status_code == 422


def test_stream_without_frames_has_no_messages(client: httpx.Client) -> None:
    client.post("/streams", json={"url": "rtsp://127.0.0.1:1/dead", "id": "dead"})
    assert client.get("/streams/dead/tracks?last=5").json() == {"messages": []}
    assert client.get("/streams/dead/export?format=mot").text == ""


def read_events(lines: Iterator[str], count: int) -> list[TrackMessage]:
    """Server-sent events; checks that each id is the message's number."""
    messages: list[TrackMessage] = []
    event: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        event[name] = value
        if not line:  # which ends an event
            if "data" in event:
                messages.append(TrackMessage.model_validate_json(event["data"], strict=True))
                assert event["id"] == str(messages[-1].seq)
                if len(messages) == count:
                    break
            event = {}
    return messages


def test_server_sent_events_resume_and_end_with_the_stream(client: httpx.Client, service: RunningService) -> None:
    client.post("/streams", json={"url": SMALL_SCENE, "id": "scene"})
    accept = {"Accept": "text/event-stream"}
    with client.stream("GET", "/streams/scene/tracks", headers=accept) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        first = read_events(answer.iter_lines(), 3)
    wait_until(lambda: subscribers(client, "scene") == 0, 10, "the reader to be forgotten")
    with client.stream(
        "GET", "/streams/scene/tracks", headers=accept | {"Last-Event-ID": str(first[-1].seq)}
    ) as answer:
        again = read_events(lines := answer.iter_lines(), 8)
        assert [one.seq for one in first + again] == list(range(first[0].seq, first[0].seq + 11))
        httpx.delete(f"http://127.0.0.1:{service.port}/streams/scene", timeout=20)
        assert [line for line in lines if line.startswith(":")] == []  # until the end
    assert client.get("/streams/scene/tracks", headers=accept).status_code == 404


@pytest.mark.parametrize("last_id", ["", "-1", "x", "9" * 5000])
def test_event_id_that_no_browser_got_from_here_is_ignored(client: httpx.Client, last_id: str) -> None:
    client.post("/streams", json={"url": SMALL_SCENE, "id": "scene"})
    headers = {"Accept": "text/event-stream", "Last-Event-ID": last_id}
    with client.stream("GET", "/streams/scene/tracks", headers=headers) as answer:
        assert len(read_events(answer.iter_lines(), 1)) == 1


def test_silent_event_stream_is_kept_alive(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, service: RunningService
) -> None:
    monkeypatch.setattr("service.routes.tracks.KEEPALIVE_S", 0.05)
    client.post("/streams", json={"url": "rtsp://127.0.0.1:1/dead", "id": "dead"})
    with client.stream("GET", "/streams/dead/tracks", headers={"Accept": "text/event-stream"}) as answer:
        comments = (line for line in answer.iter_lines() if line.startswith(":"))
        assert [next(comments), next(comments)] == [": ping"] * 2


def test_recorded_window_is_exported(client: httpx.Client, tmp_path: Path) -> None:
    client.post("/streams", json={"url": SMALL_SCENE, "id": "scene"})
    wait_until(lambda: client.get("/streams/scene").json()["stats"]["frames"] > 30, 20, "frames")
    messages = client.get("/streams/scene/tracks?last=1000").json()["messages"]
    window = f"from={messages[5]['ts_capture']}&to={messages[15]['ts_capture']}"
    answer = client.get(f"/streams/scene/export?format=mot&{window}")
    assert answer.headers["content-disposition"] == 'attachment; filename="scene.txt"'
    (tmp_path / "scene.txt").write_bytes(answer.content)
    boxes = read_mot(tmp_path / "scene.txt")
    tracks = [track for one in messages[5:16] for track in one["tracks"]]
    expected = [track["bbox"] for track in tracks if track["origin"] != "predicted"]
    assert expected
    np.testing.assert_allclose(boxes.xyxy, expected, atol=0.01)
    document = client.get(f"/streams/scene/export?format=coco&{window}").json()
    assert [one["ts_capture"] for one in document["images"]] == [one["ts_capture"] for one in messages[5:16]]
    assert len(document["annotations"]) == len(expected)
    assert client.get("/streams/scene/export?format=csv").status_code == 422
    assert client.get("/streams/nobody/export?format=mot").status_code == 404


def test_every_person_is_new_before_their_first_message(client: httpx.Client, service: RunningService) -> None:
    client.post("/streams", json={"url": SMALL_SCENE, "id": "scene"})
    wait_until(lambda: client.get("/streams/scene").json()["stats"]["frames"] > 20, 20, "frames")
    with connect(f"{service.ws_url('scene')}?from_seq=1") as socket:
        messages = receive(socket, 20)
    known: set[str] = set()
    for message in messages:
        known |= {event.uid for event in message.events if event.type == "new"}
        assert {track.uid for track in message.tracks} <= known
    assert known


def test_sinks_get_what_subscribers_get_to_the_last_message(
    start_service: Callable[..., RunningService], tmp_path: Path
) -> None:
    broker = redis_server(tmp_path)
    broker.start()
    try:
        service = start_service(sinks=[SecretStr(f"redis://127.0.0.1:{broker.port}")])
        with service.http as http, ExitStack() as stack:
            http.post("/streams", json={"url": SMALL_SCENE, "id": "scene"})
            socket = stack.enter_context(connect(service.ws_url("scene")))
            texts = [socket.recv(10) for _ in range(5)]
            (sink,) = http.get("/sinks").json()["sinks"]
            assert (sink["url"], sink["connected"]) == (f"redis://127.0.0.1:{broker.port}", True)
            assert http.get("/streams/scene").json()["stats"]["subscribers"] == 1
            service.stop()
            with suppress(ConnectionClosed):
                while True:
                    texts.append(socket.recv(10))
        with redis.Redis(port=broker.port) as client:
            stored = [fields[b"message"].decode() for _, fields in client.xrange("atttrack:streams:scene:tracks")]
    finally:
        broker.stop()
    assert stored[-len(texts) :] == texts


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


def subscribers(client: httpx.Client, stream_id: str = "door") -> Any:
    return client.get(f"/streams/{stream_id}").json()["stats"]["subscribers"]
