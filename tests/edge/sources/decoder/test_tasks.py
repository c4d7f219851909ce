"""What a decoder process does besides decoding on the CPU. Here without the process, where its parts are replaced."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from edge.ops.pixels import BT601
from edge.sources.base import SourceError
from edge.sources.decoder import gstreamer, pictures
from edge.sources.decoder.connection import CameraVideo
from edge.sources.decoder.messages import LONGEST, Format, Job, Note, Packet, Picture, unpack
from edge.sources.decoder.ring import SLOTS, Outlet, PictureRing, Stop
from edge.sources.picture import Nv12Converter
from edge.sources.rtsp.camera_url import CameraUrl
from edge.sources.settings import SourceSettings

URL = CameraUrl.parse("rtsp://viewer:secret@192.0.2.1/live")
JOB = Job(URL, SourceSettings(max_pixels=320 * 192, stall_timeout_s=30))


@dataclass
class Ends:
    """Both ends of a decoder's channel; the reader's hears after the decoder has spoken."""

    outlet: Outlet
    reader: socket.socket
    ring: PictureRing

    def heard(self) -> list[Any]:
        messages = []
        while True:
            try:
                messages.append(unpack(self.reader.recv(LONGEST, socket.MSG_DONTWAIT)))
            except BlockingIOError:
                return messages


@pytest.fixture
def ends() -> Iterator[Ends]:
    ring, fd = PictureRing.create(JOB.settings.max_pixels)
    written = PictureRing(fd, JOB.settings.max_pixels)
    os.close(fd)
    reader, decoder = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with reader, decoder:
        yield Ends(Outlet(decoder, written), reader, ring)
    written.close()
    ring.close()


@pytest.fixture
def from_file(numbered_clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cameras are the clip's first pictures, as many as the ring has slots, and hang up."""

    @contextmanager
    def camera_video(job: Job, hwaccel: object = None) -> Iterator[CameraVideo]:
        with av.open(str(numbered_clip)) as container:
            whole = CameraVideo(container, container.streams.video[0], job.url)
            yield replace(whole, container=First(container))
        raise SourceError("connection_failed", "hung up")

    monkeypatch.setattr(pictures, "camera_video", camera_video)


class First:
    def __init__(self, container: Any) -> None:
        self._container = container

    def demux(self, stream: object) -> Iterator[Any]:
        for number, packet in enumerate(self._container.demux(stream)):
            if number == SLOTS:
                return
            yield packet


def run(task: Any, ends: Ends, code: str = "connection_failed") -> list[Any]:
    with pytest.raises(SourceError) as failed:
        task(ends.outlet, JOB)
    assert failed.value.code == code and "secret" not in str(failed.value)
    return ends.heard()


def expected(clip: Path) -> list[np.ndarray]:
    with av.open(str(clip)) as container:
        return [Nv12Converter()(one) for _, one in zip(range(SLOTS), container.decode(video=0), strict=False)]


def test_without_a_gpu_its_task_is_done_on_the_cpu_and_the_reader_told_why(
    ends: Ends, from_file: None, numbered_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "gpu_decoding", lambda: (None, "no GPU here"))
    note, *found = run(pictures.decode_on_gpu, ends)
    assert note == Note("decoded on the CPU: no GPU here")
    assert found and all(isinstance(one, Picture) and one.nv12 for one in found)
    for one, nv12 in zip(found, expected(numbered_clip), strict=False):
        assert np.array_equal(ends.ring.read(one.slot, one.width, one.height, nv12=True), nv12)


def test_a_codec_that_the_unit_refuses_is_named_once(
    ends: Ends, from_file: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "gpu_decoding", lambda: (object(), ""))
    note, *found = run(pictures.decode_on_gpu, ends)
    assert isinstance(note, Note)
    assert note.text.startswith("decoded on the CPU: the GPU's video unit does not take h264 ")
    assert note.text.endswith(" yuv420p 320x192")
    assert found and all(isinstance(one, Picture) for one in found)


def test_what_the_unit_decodes_needs_no_note(ends: Ends, from_file: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "gpu_decoding", lambda: (object(), ""))
    monkeypatch.setattr(pictures, "decoded_on_gpu", lambda picture: True)
    found = run(pictures.decode_on_gpu, ends)
    assert found and all(isinstance(one, Picture) for one in found)


def test_packets_come_whole_and_in_order_with_what_stands_ahead_of_them(
    ends: Ends, from_file: None, numbered_clip: Path
) -> None:
    form, *found = run(pictures.hand_packets_over, ends)
    with av.open(str(numbered_clip)) as container:
        stream = container.streams.video[0]
        assert form == Format("h264", stream.codec_context.extradata)
        sent = [packet for _, packet in zip(range(SLOTS), container.demux(stream), strict=False)]
        assert [ends.ring.read_bytes(one.slot, one.nbytes) for one in found] == [bytes(one) for one in sent]
        assert [one.pts for one in found] == [one.pts for one in sent]
        assert all(isinstance(one, Packet) and one.time_base == (1, 12800) for one in found)
    times_s = [one.monotonic_s for one in found]
    assert times_s == sorted(times_s)


def test_a_packet_waits_for_its_reader_and_a_picture_does_not(ends: Ends) -> None:
    assert [ends.outlet.slot_for_packet() for _ in range(SLOTS)] == list(range(SLOTS))
    assert ends.outlet.slot_for_picture() is None, "after a while it is dropped"
    ends.reader.send(bytes((2,)))
    assert ends.outlet.slot_for_packet() == 2
    ends.reader.close()
    with pytest.raises(Stop):
        ends.outlet.slot_for_packet()


class Capture:
    def __init__(self, *frames: np.ndarray) -> None:
        self.frames = list(frames)
        self.released = False

    def isOpened(self) -> bool:
        return bool(self.frames)

    def read(self) -> tuple[bool, np.ndarray | None]:
        return (True, self.frames.pop(0)) if self.frames else (False, None)

    def release(self) -> None:
        self.released = True


@pytest.fixture
def through(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let GStreamer hand these pictures out, of the relay's address."""

    def install(*frames: np.ndarray) -> Capture:
        capture = Capture(*frames)

        @contextmanager
        def relayed(job: Job) -> Iterator[CameraUrl]:
            yield replace(job.url, host="127.0.0.1", port=4711)

        def open_capture(url: CameraUrl) -> Capture:
            assert url.with_secret() == "rtsp://viewer:secret@127.0.0.1:4711/live"
            return capture

        monkeypatch.setattr(gstreamer, "relayed", relayed)
        monkeypatch.setattr(gstreamer, "open_capture", open_capture)
        return capture

    return install


def test_gstreamers_pictures_go_through_the_ring_as_nv12(ends: Ends, through: Any) -> None:
    frames = [np.full((288, 320), shade, np.uint8) for shade in (10, 20, 30)]
    capture = through(*frames)
    found = run(gstreamer.decode_with_gstreamer, ends)
    assert [(one.width, one.height, one.number, one.pts, one.nv12) for one in found] == [
        (320, 192, number, None, BT601) for number in range(3)
    ]
    for one, frame in zip(found, frames, strict=True):
        assert np.array_equal(ends.ring.read(one.slot, one.width, one.height, nv12=True), frame)
    assert capture.released


def test_a_camera_that_gstreamer_cannot_open_is_an_error_without_its_password(ends: Ends, through: Any) -> None:
    through()
    assert run(gstreamer.decode_with_gstreamer, ends) == []


def test_pictures_that_are_no_nv12_or_too_large_are_refused(ends: Ends, through: Any) -> None:
    through(np.zeros((192, 320, 3), np.uint8))
    assert run(gstreamer.decode_with_gstreamer, ends, "decoder_crashed") == []
    through(np.zeros((600, 400), np.uint8))
    assert run(gstreamer.decode_with_gstreamer, ends, "resolution_too_high") == []
