"""Live video of kinds that cameras have besides H.264 with 8 bits, and cameras and hosts that change on the way."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from edge.sources import open_source
from edge.sources.base import Frame, Source
from edge.sources.camera import CameraSource
from edge.sources.decoder.messages import Picture
from edge.sources.rtsp.camera_url import CameraUrl
from edge.sources.session import DecodedPicture
from edge.sources.settings import SourceSettings
from testbed.clips import numbered_image, read_clip, read_number, write_clip
from testbed.rtsp_server import RtspServer
from tests.conftest import ClipFactory

QUICK = SourceSettings(connect_timeout_s=5.0, stall_timeout_s=3.0)
X265 = "log-level=none:pools=1:frame-threads=1:bframes=0:keyint=10"
TEN_BIT = {
    "H.264 High 10": ("libx264", {"preset": "ultrafast", "tune": "zerolatency", "x264-params": "keyint=10"}),
    "H.265 Main 10": ("libx265", {"preset": "ultrafast", "x265-params": X265}),
}
KINDS = {
    "interlaced": ("libx264", {"preset": "ultrafast", "x264-params": "interlaced=1:bframes=0:keyint=10"}),
    "with B pictures": ("libx264", {"preset": "veryfast", "x264-params": "bframes=3:b-adapt=0:keyint=10:threads=1"}),
    "H.265 with B pictures": ("libx265", {"preset": "ultrafast", "x265-params": "log-level=none:bframes=3:b-adapt=0"}),
}


def first(source: Source, count: int) -> list[Frame]:
    frames = iter(source)
    try:
        return list(islice(frames, count))
    finally:
        frames.close()


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_of_live_video_come_in_order(tmp_path: Path, kind: str) -> None:
    codec, options = KINDS[kind]
    clip = write_clip(tmp_path / "clip.mp4", map(numbered_image, range(60)), 25, codec=codec, options=options)
    with RtspServer({"camera": read_clip(clip)}) as server:
        frames = first(open_source(server.url(), settings=QUICK), 40)
    assert [read_number(frame.image) for frame in frames] == list(range(40))
    np.testing.assert_allclose(np.diff([frame.time_s for frame in frames])[5:], 0.04, atol=5e-3)


@pytest.mark.parametrize("kind", TEN_BIT)
def test_pictures_of_ten_bits_come_as_those_of_eight(tmp_path: Path, kind: str) -> None:
    codec, options = TEN_BIT[kind]
    images = [numbered_image(number) for number in range(20)]
    clip = write_clip(tmp_path / "clip.mp4", images, 25, codec=codec, options=options, pix_fmt="yuv420p10le")
    with RtspServer({"camera": read_clip(clip)}) as server:
        frames = first(open_source(server.url(), settings=QUICK), 15)
    assert [read_number(frame.image) for frame in frames] == list(range(15))
    for frame, image in zip(frames, images, strict=False):
        assert frame.image.dtype == np.uint8 and abs(frame.image.mean() - image.mean()) < 2.0


def test_a_night_switch_changes_size_and_rate_and_neither_session_nor_pace(make_clip: ClipFactory) -> None:
    day = read_clip(make_clip((numbered_image(i) for i in range(25)), frame_rate=25))
    night = read_clip(make_clip((numbered_image(i + 25, 640, 384) for i in range(15)), frame_rate=5))
    later = tuple(
        replace(unit, time_s=unit.time_s + day.duration_s, sent_s=unit.sent_s + day.duration_s) for unit in night.units
    )
    both = replace(day, units=day.units + later, duration_s=day.duration_s + night.duration_s)
    with RtspServer({"camera": both}) as server:
        frames = first(open_source(server.url(), settings=QUICK), 38)
    assert [read_number(frame.image) for frame in frames] == list(range(38))
    assert [frame.size for frame in frames] == [(320, 192)] * 25 + [(640, 384)] * 13
    assert {frame.session for frame in frames} == {0}
    steps = np.diff([frame.time_s for frame in frames])
    np.testing.assert_allclose(steps[3:23], 0.04, atol=5e-3)
    np.testing.assert_allclose(steps[27:], 0.2, atol=0.02)


class Steady:
    """A session of pictures 40 ms apart, whose host sets its clock by an hour, forth and back."""

    decoder_pid = 0

    def __init__(self) -> None:
        self._arrivals = self._pictures()

    def _pictures(self) -> Iterator[DecodedPicture]:
        for number in range(60):
            set_s = 3600.0 if 20 <= number < 40 else 0.0
            times = {"monotonic_s": 50 + 0.04 * number, "unix_s": 1e9 + 0.04 * number + set_s}
            rest = {"frame_rate": 25.0, "frozen": False, "damaged": False}
            about = Picture(0, 4, 4, number, 3600 * number, (1, 90_000), **times, **rest)
            yield DecodedPicture(np.zeros((4, 4, 3), np.uint8), about)

    def next(self, timeout_s: float) -> DecodedPicture | None:
        return next(self._arrivals, None)

    def close(self, patience_s: float = 0.0) -> None:
        pass


def test_a_host_that_sets_its_clock_changes_no_step() -> None:
    source = CameraSource(CameraUrl.parse("rtsp://127.0.0.1/x"), connect=lambda *_: Steady())
    frames = first(source, 60)
    np.testing.assert_allclose(np.diff([frame.time_s for frame in frames]), 0.04, atol=1e-6)
    assert max(np.diff([frame.captured_at_s for frame in frames])) > 3599  # as the host says
