"""Pictures of real RTSP streams are cut at RTP's marker. Oracle: the same clip, decoded from its file."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from edge.sources import open_source
from edge.sources.base import Frame, SourceState
from edge.sources.settings import SourceSettings
from testbed.clips import JPEG, MPEG4, numbered_image, packetize, read_clip, read_number, write_clip
from testbed.rtsp_server import Marks, RtspServer
from tests.support.source_states import Reader

QUICK = SourceSettings(stall_timeout_s=1.0, backoff_min_s=0.02, backoff_max_s=0.1)
PICTURES, RATE = 30, 50
X265 = "log-level=none:pools=1:frame-threads=1:keyint=10"
CODINGS = {
    "h264-slices": ("libx264", {"preset": "ultrafast", "tune": "zerolatency", "x264-params": "slices=3:keyint=10"}),
    "h264-b": ("libx264", {"preset": "veryfast", "x264-params": "bframes=2:b-adapt=0:keyint=10:threads=1"}),
    "hevc-slices": ("libx265", {"preset": "ultrafast", "x265-params": X265 + ":bframes=0:slices=2"}),
    "hevc-b": ("libx265", {"preset": "ultrafast", "x265-params": X265 + ":bframes=2:b-adapt=0"}),
}


def noisy(number: int) -> np.ndarray:
    """A numbered picture of many packets."""
    image = numbered_image(number, 320, 256)
    image[128:] = np.random.default_rng(number).integers(0, 256, (128, 320, 3))
    return image


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("clips")
    images = [noisy(number) for number in range(PICTURES)]
    return {
        name: write_clip(folder / f"{name}.mp4", images, RATE, codec=codec, options=options)
        for name, (codec, options) in CODINGS.items()
    }


@pytest.fixture(scope="module")
def server(files: dict[str, Path]) -> Iterator[RtspServer]:
    with RtspServer({name: read_clip(path) for name, path in files.items()}) as server:
        yield server


def first_pictures(url: str, count: int) -> list[Frame]:
    frames = iter(open_source(url, settings=QUICK))
    try:
        return list(islice(frames, count))
    finally:
        frames.close()


@pytest.mark.parametrize(("marks", "described"), [("last", True), ("last", False), ("never", True), ("always", False)])
@pytest.mark.parametrize("name", CODINGS)
def test_pixels_order_and_time_stamps_are_the_files(
    files: dict[str, Path], server: RtspServer, name: str, marks: Marks, described: bool
) -> None:
    server.marks, server.fault = marks, "none" if described else "no_sps"
    expected = list(islice(open_source(files[name]), PICTURES - 2))
    found = first_pictures(server.url(name), PICTURES - 2)
    for got, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(got.image, wanted.image)
    stamps_s = [(frame.pts - found[0].pts) / 90_000 for frame in found]  # type: ignore[operator]
    np.testing.assert_allclose(stamps_s, np.arange(PICTURES - 2) / RATE, atol=2e-5)


@pytest.mark.parametrize("name", ["h264-slices", "hevc-slices"])
@pytest.mark.parametrize(("marks", "missing"), [("last", 0), ("never", 1)])
def test_the_last_picture_before_a_silence_comes_if_it_was_marked(
    server: RtspServer, name: str, marks: Marks, missing: int
) -> None:
    """Nothing follows it that could tell its end."""
    server.marks, server.fault = marks, "none"
    begun, sent = server.pictures_sent, 0

    def note(state: SourceState) -> None:
        nonlocal sent
        if state.phase == "reconnecting":
            sent, server.fault = server.pictures_sent - begun, "none"

    frames = iter(open_source(server.url(name), settings=QUICK, on_state=note))
    indices = [frame.index for frame in islice(frames, 20)]
    server.fault = "stall"
    for frame in frames:
        if frame.session:
            break
        indices.append(frame.index)
    frames.close()
    assert len(indices) == sent - missing


def test_codecs_without_nal_units_come_as_before() -> None:
    shades = [np.full((192, 320, 3), 40 + 8 * number, np.uint8) for number in range(20)]
    numbered = [numbered_image(number) for number in range(20)]
    with RtspServer({"jpeg": packetize(shades, JPEG), "mpeg4": packetize(numbered, MPEG4)}) as server:
        found = first_pictures(server.url("jpeg"), 15)
        assert [frame.pts for frame in found] == [3600 * number for number in range(15)]
        assert (np.diff([frame.image.mean() for frame in found]) > 0.1).all()  # FFmpeg's packetiser dims them
        assert server.connections == 1
        found = first_pictures(server.url("mpeg4"), 15)
        assert [read_number(frame.image) for frame in found] == list(range(15))


SLOW = {
    "h264": ("libx264", None),
    "h264-b": ("libx264", {"preset": "veryfast", "x264-params": "bframes=1:b-adapt=0:keyint=4:threads=1"}),
    "hevc": ("libx265", {"preset": "ultrafast", "x265-params": X265 + ":bframes=0"}),
    "hevc-b": ("libx265", {"preset": "ultrafast", "x265-params": X265 + ":bframes=1:b-adapt=0"}),
    "jpeg": None,
}


def test_pictures_that_come_seldom_come_at_once_over_one_connection(tmp_path: Path) -> None:
    """Those with B pictures as soon as it is known that none is shown before them."""
    every_s, clips = 1.5, {}
    images = [numbered_image(number) for number in range(8)]
    for name, kind in SLOW.items():
        if kind is None:
            clips[name] = packetize(images, JPEG, 1)
        else:
            path = write_clip(tmp_path / f"{name}.mp4", images, 1, codec=kind[0], options=kind[1])
            clips[name] = read_clip(path)
        slower = [replace(one, sent_s=one.sent_s * every_s, time_s=one.time_s * every_s) for one in clips[name].units]
        clips[name] = replace(clips[name], units=tuple(slower), duration_s=8 * every_s)
    hasty = SourceSettings(connect_timeout_s=1.0, stall_timeout_s=0.5)
    with ExitStack() as stack:
        servers = {name: stack.enter_context(RtspServer({"camera": clip})) for name, clip in clips.items()}
        readers = {
            name: stack.enter_context(Reader(open_source(server.url(), settings=hasty)))
            for name, server in servers.items()
        }
        time.sleep(3.6 * every_s)
        late = {name: server.pictures_sent - len(readers[name].frames) for name, server in servers.items()}
        assert late == {"h264": 0, "h264-b": 1, "hevc": 0, "hevc-b": 1, "jpeg": 0}
        assert {server.connections for server in servers.values()} == {1}
