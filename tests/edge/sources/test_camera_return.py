"""When a camera is tried again, and what its stuck picture is called."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice, pairwise

import pytest

from edge.sources import open_source
from edge.sources.base import SourceError
from edge.sources.camera import PROBE_EVERY_S
from edge.sources.retry import reach
from edge.sources.rtsp.camera_url import CameraUrl
from edge.sources.settings import SourceSettings
from testbed.clips import numbered_image, read_clip
from testbed.rtsp_server import RtspServer
from tests.conftest import ClipFactory
from tests.support.source_states import Reader, Watch

PATIENT = SourceSettings(first_must_connect=False, backoff_min_s=60, backoff_max_s=120)
"""Without a look at the port, nothing would happen for a minute."""


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def free_running(camera: RtspServer, watch: Watch) -> Iterator[Reader]:
    with Reader(open_source(camera.url(), settings=PATIENT, on_state=watch)) as reader:
        yield reader


def test_killed_camera_is_connected_to_when_its_port_opens_again(
    camera: RtspServer, watch: Watch, free_running: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen_closed = threading.Event()

    def look(url: CameraUrl, addresses: Sequence[str]) -> SourceError | None:
        failure = reach(url, addresses)
        if failure is not None:
            seen_closed.set()
        return failure

    monkeypatch.setattr("edge.sources.camera.reach", look)
    watch.wait("running")
    camera.stop()
    gone = watch.wait("reconnecting", "connection_failed")
    assert seen_closed.wait(20)
    assert gone.retry_at_s is not None and gone.retry_at_s - gone.since_s >= 60
    camera.start()
    back = watch.wait("running")
    assert back.since_s < gone.retry_at_s - 30
    assert [frame.session for frame in free_running.frames if frame.session][:1] == [1]


def test_camera_that_answers_but_refuses_waits_in_full(camera: RtspServer, watch: Watch) -> None:
    """Its port is open all the time, and it may serve one viewer at a time: it is not looked at."""
    camera.fault = "busy"
    with Reader(open_source(camera.url(), settings=PATIENT, on_state=watch)):
        watch.wait("reconnecting", "connection_failed")
        threading.Event().wait(3 * PROBE_EVERY_S)
        assert camera.connections == 1
        assert [state.attempts for state in watch.states] == [0, 1]


def test_no_decoder_is_started_for_a_host_that_is_down(camera: RtspServer, watch: Watch) -> None:
    camera.stop()
    hasty = SourceSettings(first_must_connect=False, backoff_min_s=0.05, backoff_max_s=0.1)
    source = open_source(camera.url(), settings=hasty, on_state=watch)
    pids = set()
    with Reader(source):
        while len(watch.states) < 8:
            pids.add(source.decoder_pid)
    assert {state.code for state in watch.states[1:-1]} == {"connection_failed"}
    assert len(pids - {None}) <= 1  # the first attempt does not look before


def test_session_grows_with_every_reconnect_and_frames_say_which(camera: RtspServer, watch: Watch) -> None:
    hasty = SourceSettings(backoff_min_s=0.02, backoff_max_s=0.05)
    with Reader(open_source(camera.url(), settings=hasty, on_state=watch)) as reader:
        for _ in range(3):
            watch.wait("running")
            camera.stop()
            watch.wait("reconnecting", "connection_failed")
            camera.start()
        watch.wait("running")
    sessions = [frame.session for frame in reader.frames]
    assert sessions == sorted(sessions)
    assert set(sessions) == {0, 1, 2, 3}
    times = [frame.time_s for frame in reader.frames]
    assert all(later > earlier for earlier, later in pairwise(times))


def test_frozen_picture_is_degraded_and_no_reason_to_reconnect(camera: RtspServer, watch: Watch) -> None:
    settings = SourceSettings(frozen_after_s=1.0)
    with Reader(open_source(camera.url(), settings=settings, on_state=watch)) as reader:
        watch.wait("running")
        camera.fault = "frozen"
        stuck = watch.wait("degraded", "frozen_picture")
        count = len(reader.frames)
        while len(reader.frames) < count + 50:
            threading.Event().wait(0.02)
        assert reader.source.state == stuck and "1 s" in str(stuck.message)
        camera.fault = "none"
        watch.wait("running")
        assert camera.connections == 1
    assert [state.phase for state in watch.states] == ["connecting", "running", "degraded", "running", "ended"]


def test_garbage_has_a_name_and_ends_when_the_camera_does_better(camera: RtspServer, watch: Watch) -> None:
    camera.fault = "garbage"
    settings = SourceSettings(first_must_connect=False, stall_timeout_s=0.5, connect_timeout_s=2.0)
    with Reader(open_source(camera.url(), settings=settings, on_state=watch)):
        watch.wait_for_any(("reconnecting", "timeout"), ("degraded", "corrupt_video"))
        camera.fault = "none"
        watch.wait("running")


def test_noise_that_decodes_now_and_then_is_not_said_to_run_again(camera: RtspServer, watch: Watch) -> None:
    camera.fault = "garbage"
    settings = SourceSettings(
        first_must_connect=False, stall_timeout_s=0.5, connect_timeout_s=2.0, backoff_min_s=0.05, backoff_max_s=0.1
    )
    with Reader(open_source(camera.url(), settings=settings, on_state=watch)):
        watch.wait_for_any(("reconnecting", "corrupt_video"), ("degraded", "corrupt_video"))
        known = len(watch.states)
        threading.Event().wait(5.0)
        assert "running" not in {state.phase for state in watch.states[known:]}
        camera.fault = "none"
        watch.wait("running")


def test_larger_picture_than_allowed_is_refused_with_its_size(camera: RtspServer, watch: Watch) -> None:
    settings = SourceSettings(first_must_connect=False, max_pixels=320 * 192 - 1, backoff_min_s=60, backoff_max_s=60)
    with Reader(open_source(camera.url(), settings=settings, on_state=watch)) as reader:
        refused = watch.wait("reconnecting", "resolution_too_high")
        assert "320x192" in str(refused.message) and not reader.frames


def test_picture_may_change_its_size_but_not_beyond_what_is_allowed(make_clip: ClipFactory, watch: Watch) -> None:
    small, large = (
        read_clip(make_clip((numbered_image(i, *size) for i in range(20)), frame_rate=20))
        for size in ((160, 96), (320, 192))
    )
    later = tuple(replace(unit, time_s=unit.time_s + small.duration_s) for unit in large.units)
    both = replace(small, units=small.units + later, duration_s=small.duration_s + large.duration_s)
    with RtspServer({"camera": both}) as camera:
        frames = iter(open_source(camera.url()))
        shapes = [frame.image.shape[:2] for frame in islice(frames, 35)]
        frames.close()
        assert list(dict.fromkeys(shapes)) == [(96, 160), (192, 320)]
        source = open_source(camera.url(), settings=replace(PATIENT, max_pixels=160 * 96), on_state=watch)
        with Reader(source) as reader:
            assert "320x192" in str(watch.wait("reconnecting", "resolution_too_high").message)
        assert 0 < len(reader.frames) <= 20


def test_addresses_are_asked_for_anew_before_every_connection(camera: RtspServer, watch: Watch) -> None:
    asked: list[tuple[str, int]] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["127.0.0.1"]

    url = camera.url().replace("127.0.0.1", "camera.invalid")
    source = open_source(url, settings=SourceSettings(resolve=resolve))
    with Reader(source) as reader:
        while not reader.frames:
            threading.Event().wait(0.01)
    assert asked == [("camera.invalid", camera.port)]
