"""The camera source against a real RTSP server in this process."""

import logging
import shutil
import ssl
import subprocess
import threading
import time
import traceback
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

from edge.sources import SourceError, open_source
from edge.sources.base import Frame, Source, SourceState
from edge.sources.latest import FrameReader, LatestFrame
from edge.sources.settings import SourceSettings
from testbed.clips import numbered_image, read_clip, read_number
from testbed.rtsp_server import Fault, RtspServer
from tests.conftest import ClipFactory

CANARY = "c4n@ry:pa/ss%w?rd#"
QUICK = SourceSettings(connect_timeout_s=2.0, stall_timeout_s=0.6, backoff_min_s=0.02, backoff_max_s=0.1)
"""Time-outs for tests, with room for a busy machine."""


def numbers(frames: list[Frame]) -> list[int]:
    return [read_number(frame.image) for frame in frames]


def wait_until(condition: object, timeout_s: float = 10.0) -> None:
    """Poll a condition that has no event of its own (the other side of a socket)."""
    deadline = time.monotonic() + timeout_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@pytest.fixture
def states() -> list[SourceState]:
    """Filled by a source opened with `on_state=states.append`."""
    return []


def closing(source: Source) -> Iterator[Frame]:
    """Frames of a source that is closed when the test lets go of them."""
    try:
        yield from source
    finally:
        source.close()


def test_pictures_come_in_order_from_the_first_one_on(camera: RtspServer, states: list[SourceState]) -> None:
    source = open_source(camera.url(), settings=QUICK, on_state=states.append)
    assert source.live and source.frame_count is None and source.state.phase == "pending"
    frames = list(islice(closing(source), 30))
    assert numbers(frames) == list(range(30))
    assert [frame.index for frame in frames] == list(range(30))
    assert all(frame.image.shape == (192, 320, 3) and frame.image.flags.c_contiguous for frame in frames)
    steps = np.diff([frame.time_s for frame in frames])
    assert (steps > 0).all()
    np.testing.assert_allclose(steps[2:], 0.04, atol=1e-3)  # the camera's clock, whatever the arrival
    assert abs(frames[-1].captured_at_s - time.time()) < 5
    assert [state.phase for state in states] == ["connecting", "running", "ended"]


def test_capture_time_is_when_the_picture_came(camera: RtspServer) -> None:
    frames = list(islice(closing(open_source(camera.url(), settings=QUICK)), 60))[30:]
    late_s = [frame.captured_at_s - camera.sent_at_s[read_number(frame.image)] for frame in frames]
    assert -0.005 < np.median(late_s) < 0.025  # less than one picture; a busy machine adds a little


def test_large_pictures_arrive_as_the_file_has_them(make_clip: ClipFactory) -> None:
    """Oracle: the same clip decoded from its file. Noise makes every picture many fragments long."""
    rng = np.random.default_rng(1)
    clip = make_clip(rng.integers(0, 256, (192, 320, 3), dtype=np.uint8) for _ in range(20))
    with RtspServer({"camera": read_clip(clip)}) as server:
        received = list(islice(closing(open_source(server.url(), settings=QUICK)), 20))
    for got, expected in zip(received, open_source(clip), strict=True):
        np.testing.assert_array_equal(got.image, expected.image)


def test_camera_that_dies_and_comes_back_is_reconnected(camera: RtspServer, states: list[SourceState]) -> None:
    source = open_source(camera.url(), settings=QUICK, on_state=states.append)
    frames = closing(source)
    before = list(islice(frames, 10))
    camera.stop()
    restart = threading.Timer(0.3, camera.start)
    restart.start()
    after = list(islice(frames, 20))
    frames.close()  # type: ignore[attr-defined]
    restart.join()
    together = before + after
    assert [frame.index for frame in together] == list(range(30))
    assert (np.diff([frame.time_s for frame in together]) > 0).all()
    assert numbers(after)[-5:] == list(range(numbers(after)[-5], numbers(after)[-5] + 5))
    assert [state.phase for state in states][:3] == ["connecting", "running", "reconnecting"]
    assert states[-2].phase == "running"
    lost = [state for state in states if state.phase == "reconnecting"]
    assert {state.code for state in lost} == {"connection_failed"}
    assert [state.attempts for state in lost] == list(range(1, len(lost) + 1))
    assert all(state.retry_at_s is not None and state.retry_at_s >= state.since_s for state in lost)
    assert len({state.since_s for state in lost}) == 1  # when the trouble began


def test_silence_is_noticed_and_the_camera_reconnected(camera: RtspServer, states: list[SourceState]) -> None:
    def note(state: SourceState) -> None:
        states.append(state)
        if state.phase == "reconnecting":
            camera.fault = "none"

    frames = closing(open_source(camera.url(), settings=QUICK, on_state=note))
    list(islice(frames, 5))
    camera.fault = "stall"
    while len(states) < 4:
        next(frames)
    frames.close()  # type: ignore[attr-defined]
    assert [state.phase for state in states][:4] == ["connecting", "running", "reconnecting", "running"]
    assert states[2].code == "timeout"


def test_close_ends_the_wait_for_a_silent_camera(camera: RtspServer) -> None:
    patient = SourceSettings(connect_timeout_s=30, stall_timeout_s=30)
    source = open_source(camera.url(), settings=patient)
    frames = iter(source)
    next(frames)
    camera.fault = "stall"
    waiting = threading.Thread(target=list, args=(frames,))
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()
    began = time.monotonic()
    source.close()
    source.close()
    waiting.join(5)
    assert not waiting.is_alive()
    assert time.monotonic() - began < 1.5
    assert source.state.phase == "ended"


def test_close_hangs_up(camera: RtspServer) -> None:
    next(frames := closing(open_source(camera.url(), settings=QUICK)))
    assert camera.clients == 1
    frames.close()  # type: ignore[attr-defined]
    wait_until(lambda: camera.clients == 0)


@pytest.mark.parametrize(
    ("fault", "path", "code"),
    [
        ("none", "nowhere", "not_found"),
        ("busy", "camera", "connection_failed"),
        ("unknown_codec", "camera", "codec_unsupported"),
        ("no_video", "camera", "no_video"),
        ("silent", "camera", "timeout"),
    ],
)
def test_first_failure_is_raised_with_its_code(camera: RtspServer, fault: Fault, path: str, code: str) -> None:
    camera.fault = fault
    source = open_source(camera.url(path), settings=SourceSettings(connect_timeout_s=1.0))
    with pytest.raises(SourceError) as caught:
        next(iter(source))
    assert caught.value.code == code
    assert (source.state.phase, source.state.code, source.state.message) == ("failed", code, str(caught.value))


def test_refused_port_is_connection_failed(camera: RtspServer) -> None:
    camera.stop()
    with pytest.raises(SourceError, match="refused") as caught:
        next(iter(open_source(camera.url())))
    assert caught.value.code == "connection_failed"


def test_camera_without_parameter_sets_in_its_description_is_read(camera: RtspServer) -> None:
    camera.fault = "no_sps"
    assert numbers(list(islice(closing(open_source(camera.url())), 3))) == [0, 1, 2]


def test_service_waits_for_a_camera_that_is_not_there_yet(camera: RtspServer, states: list[SourceState]) -> None:
    camera.stop()
    settings = SourceSettings(first_must_connect=False, backoff_min_s=0.02, backoff_max_s=0.05)
    refused = threading.Event()

    def note(state: SourceState) -> None:
        states.append(state)
        if state.attempts == 2:
            refused.set()

    def restart() -> None:
        assert refused.wait(20)
        camera.start()

    source = open_source(camera.url(), settings=settings, on_state=note)
    restarting = threading.Thread(target=restart)
    restarting.start()
    assert next(closing(source)).index == 0
    restarting.join()
    assert states[1].phase == "reconnecting" and states[1].code == "connection_failed"


def test_attempts_can_be_bounded(camera: RtspServer, states: list[SourceState]) -> None:
    camera.stop()
    settings = SourceSettings(first_must_connect=False, max_attempts=3, backoff_min_s=0.01, backoff_max_s=0.02)
    with pytest.raises(SourceError):
        next(iter(open_source(camera.url(), settings=settings, on_state=states.append)))
    assert [state.phase for state in states] == ["connecting", "reconnecting", "reconnecting", "failed"]
    assert states[-1].attempts == 3


@pytest.mark.parametrize("auth", ["digest", "basic"])
@pytest.mark.parametrize("given", ["in the URL", "apart"])
def test_password_opens_the_camera_and_is_never_shown(
    camera: RtspServer,
    auth: str,
    given: str,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    states: list[SourceState],
) -> None:
    """The right password works; a wrong one fails with auth_failed; neither is in anything that leaves the source."""
    caplog.set_level(logging.DEBUG)
    camera.username, camera.password, camera.auth = "viewer", CANARY, auth  # type: ignore[assignment]
    told: list[str] = []

    def attempt(password: str) -> Source:
        url, secrets = camera.url(), {"username": "viewer", "password": password}
        if given == "in the URL":
            url, secrets = url.replace("://", f"://viewer:{quote(password, safe='')}@"), {}
        return open_source(url, settings=QUICK, on_state=states.append, **secrets)

    frames = closing(attempt(CANARY))
    next(frames)
    frames.close()  # type: ignore[attr-defined]
    with pytest.raises(SourceError) as caught:
        next(iter(attempt("wrong" + CANARY)))
    assert caught.value.code == "auth_failed"
    camera.stop()
    with pytest.raises(SourceError) as refused:
        next(iter(attempt(CANARY)))
    for error in (caught.value, refused.value):
        told += traceback.format_exception(error)
        told += [repr(error), repr(error.__context__), repr(error.__cause__)]
    told += [repr(state) for state in states] + [record.getMessage() for record in caplog.records] + [caplog.text]
    told += list(capfd.readouterr()) + [thread.name for thread in threading.enumerate()]
    for text in told:
        for secret in (CANARY, "c4n", "ry:pa"):
            assert secret not in text


@pytest.mark.parametrize("verify", [True, False])
def test_tls_is_verified_unless_told_otherwise(numbered_clip: Path, tmp_path: Path, verify: bool) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl program to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*make, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with RtspServer({"camera": read_clip(numbered_clip)}, tls=context) as server:
        if not verify:
            assert (
                read_number(next(closing(open_source(server.url(), settings=SourceSettings(tls_verify=False)))).image)
                == 0
            )
            return
        with pytest.raises(SourceError) as caught:
            next(iter(open_source(server.url())))
        assert caught.value.code == "tls_certificate"
        trusting = SourceSettings(ca_file=certificate)
        assert read_number(next(closing(open_source(server.url(), settings=trusting))).image) == 0


def test_port_without_tls_is_tls_handshake(camera: RtspServer) -> None:
    with pytest.raises(SourceError) as caught:
        next(iter(open_source(camera.url().replace("rtsp:", "rtsps:"), settings=QUICK)))
    assert caught.value.code == "tls_handshake"


def test_slow_consumer_gets_the_newest_frame(camera: RtspServer) -> None:
    door = LatestFrame()
    reader = FrameReader(open_source(camera.url(), settings=QUICK), door)
    reader.start()
    behind = []
    assert door.wait(10) is not None
    for _ in range(5):
        threading.Event().wait(0.25)
        frame = door.wait(5)
        assert frame is not None
        behind.append(camera.pictures_sent - read_number(frame.image))
    assert reader.close()
    assert door.dropped > 10
    assert np.median(behind) <= 6  # pictures of 40 ms; most of it is a busy machine's


def test_memory_does_not_grow_with_the_frames(make_clip: ClipFactory) -> None:
    def resident_mb() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20

    fast = make_clip((numbered_image(i, 640, 384) for i in range(50)), frame_rate=150)
    with RtspServer({"camera": read_clip(fast)}) as server:
        frames = closing(open_source(server.url(), settings=QUICK))
        for _ in islice(frames, 150):
            pass
        before_mb = resident_mb()
        for _ in islice(frames, 450):
            pass
        assert resident_mb() - before_mb < 6  # 450 frames hold 330 MB
        frames.close()  # type: ignore[attr-defined]
