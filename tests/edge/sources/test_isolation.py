"""What goes wrong in one camera's decoder stays there, and nothing is left of it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from edge.sources import open_source
from edge.sources.base import SourceError
from edge.sources.camera import CameraSource
from edge.sources.decoder.process import DECODERS, DecoderServer
from edge.sources.decoder.ring import SLOT_WAIT_S, SLOTS
from edge.sources.settings import SourceSettings
from testbed.clips import numbered_image, read_clip, read_number
from testbed.rtsp_server import RtspServer
from tests.conftest import ClipFactory
from tests.support.source_states import Reader, Watch

ROOT = Path(__file__).resolve().parents[3]
HASTY = SourceSettings(stall_timeout_s=1.5, backoff_min_s=0.02, backoff_max_s=0.1)


def wait_until(condition: Callable[[], object], timeout_s: float = 20) -> None:
    """Poll what has no event of its own: other processes."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def descendants(pid: int) -> set[int]:
    """Process ids below `pid`."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = {child for child, parent in parents.items() if parent == pid}
    return found | {below for child in found for below in descendants(child)}


def decoder_of(reader: Reader) -> int:
    assert isinstance(reader.source, CameraSource)
    pid = reader.source.decoder_pid
    assert pid is not None
    return pid


def read(camera: RtspServer, watch: Watch, settings: SourceSettings = HASTY) -> Reader:
    return Reader(open_source(camera.url(), settings=settings, on_state=watch))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV])
def test_decoder_that_dies_is_one_more_reason_to_reconnect(camera: RtspServer, how: signal.Signals) -> None:
    watch, beside = Watch(), Watch()
    with read(camera, watch) as reader, read(camera, beside) as other:
        watch.wait("running")
        beside.wait("running")
        os.kill(decoder_of(reader), how)
        wait_until(lambda: reader.frames[-1].session == 1)
        died = next(state for state in watch.states if state.phase == "reconnecting")
        assert died.code == "decoder_crashed" and how.name in str(died.message)
        seen = len(other.frames)
        wait_until(lambda: len(other.frames) > seen)
    assert [state.phase for state in beside.states] == ["connecting", "running", "ended"]
    indices = [frame.index for frame in reader.frames]
    assert indices == sorted(set(indices))


def test_decoder_that_hangs_is_killed_and_replaced(camera: RtspServer) -> None:
    watch = Watch()
    with read(camera, watch) as reader:
        watch.wait("running")
        hung = decoder_of(reader)
        os.kill(hung, signal.SIGSTOP)
        wait_until(lambda: reader.frames[-1].session == 1)
        assert not is_alive(hung)
        assert next(state.code for state in watch.states if state.phase == "reconnecting") == "timeout"


def test_reader_that_dozes_gets_new_pictures_afterwards_and_sees_how_many_it_lost(camera: RtspServer) -> None:
    frames = iter(open_source(camera.url(), settings=HASTY))
    before = next(frames)
    threading.Event().wait(2 * SLOT_WAIT_S + 1)
    after = [next(frames) for _ in range(SLOTS + 10)]
    behind = camera.pictures_sent - read_number(after[-1].image)
    frames.close()  # type: ignore[attr-defined]
    steps = [later.index - earlier.index for earlier, later in pairwise([before, *after])]
    assert max(steps) > 10 and steps.count(1) >= SLOTS
    assert [read_number(frame.image) for frame in after] == [frame.index for frame in after]
    assert behind <= 12  # pictures of 40 ms


def test_decoder_that_wants_too_much_memory_is_stopped(make_clip: ClipFactory) -> None:
    clip = make_clip((numbered_image(i, 4096, 2304) for i in range(2)), frame_rate=5)
    with RtspServer({"camera": read_clip(clip)}) as camera:
        with pytest.raises(SourceError, match="64 MB") as caught:
            next(iter(open_source(camera.url(), settings=replace(HASTY, decoder_memory_mb=64))))
        assert caught.value.code == "decoder_crashed"


def test_server_of_decoders_that_dies_is_replaced(camera: RtspServer) -> None:
    watch = Watch()
    decoders = DecoderServer()
    source = open_source(camera.url(), settings=HASTY, on_state=watch)
    assert isinstance(source, CameraSource)
    source._decoders = decoders
    with Reader(source) as reader:
        watch.wait("running")
        first, decoder = decoders.pid, decoder_of(reader)
        assert first is not None and first != DECODERS.pid
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: reader.frames[-1].session == 1)
        assert not is_alive(decoder) and decoders.pid != first
    assert decoders.pid is None


def test_reader_that_closes_leaves_nothing_behind(camera: RtspServer) -> None:
    """File descriptors, threads, processes and shared memory are as before, also after failures and crashes."""

    def held() -> tuple[int, int, set[int], int]:
        maps = Path("/proc/self/maps").read_text().count("memfd:pictures")
        return len(os.listdir("/proc/self/fd")), threading.active_count(), descendants(os.getpid()), maps

    def once(crash: bool) -> None:
        watch = Watch()
        with read(camera, watch) as reader:
            watch.wait("running")
            if crash:
                os.kill(decoder_of(reader), signal.SIGKILL)
                wait_until(lambda: reader.frames[-1].session == 1)
        with pytest.raises(SourceError):
            next(iter(open_source(camera.url("nowhere"), settings=HASTY)))

    once(crash=False)
    before = held()
    for i in range(6):
        once(crash=i % 2 == 0)
    wait_until(lambda: camera.clients == 0)
    wait_until(lambda: held() == before)


def test_server_of_decoders_ends_with_its_last_user() -> None:
    decoders = DecoderServer()
    with decoders:
        with decoders:
            assert decoders.pid is None
        with pytest.raises(SourceError, match="refused"):
            list(at_closed_port(decoders))
        pid = decoders.pid
        assert pid is not None and is_alive(pid)
    assert decoders.pid is None and not is_alive(pid)


def at_closed_port(decoders: DecoderServer) -> CameraSource:
    source = open_source("rtsp://127.0.0.1:1/", settings=HASTY)
    assert isinstance(source, CameraSource)
    source._decoders = decoders
    return source


READ = """
import sys
from edge.sources import open_source
for frame in open_source(sys.argv[1]):
    print(frame.index, flush=True)
"""


def test_decoders_end_when_their_reader_is_killed(camera: RtspServer) -> None:
    """Nobody can tidy up after SIGKILL; a camera that says nothing must not keep its decoder alive either."""
    reader = subprocess.Popen([sys.executable, "-c", READ, camera.url()], cwd=ROOT, stdout=subprocess.PIPE)
    assert reader.stdout is not None
    with reader.stdout:
        assert reader.stdout.readline()
        camera.fault = "stall"
        below = descendants(reader.pid)
        assert len(below) == 2  # the server and one decoder
        reader.kill()
        reader.wait()
    wait_until(lambda: not any(is_alive(pid) for pid in below))
    wait_until(lambda: camera.clients == 0)


def test_decoder_sees_no_secret_and_no_descriptor_of_its_reader(camera: RtspServer) -> None:
    os.environ["ATTTRACK_CANARY"] = "c4n@ry"
    decoders = DecoderServer()
    try:
        source = open_source(camera.url(), username="viewer", password="c4n@ry", settings=HASTY)  # noqa: S106
        assert isinstance(source, CameraSource)
        source._decoders = decoders
        with Reader(source) as reader:
            wait_until(lambda: reader.frames)
            pid = decoder_of(reader)
            told = Path(f"/proc/{pid}/environ").read_bytes() + Path(f"/proc/{pid}/cmdline").read_bytes()
            assert b"c4n" not in told
            opened = [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()]
            sockets = [name for name in opened if name.startswith("socket:")]
            assert len(sockets) <= 4, opened  # its reader, the camera, and both ends of the way in between
            known = ("socket:", "/dev/null", "anon_inode:", "/memfd:pictures")
            assert all(name.startswith(known) for name in opened), opened
    finally:
        del os.environ["ATTTRACK_CANARY"]
