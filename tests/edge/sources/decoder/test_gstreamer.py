"""GStreamer's pipeline for a Jetson: a text that is parsed, into which addresses and passwords go."""

import re
from urllib.parse import unquote

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.sources.base import SourceError
from edge.sources.decoder import gstreamer as jetson
from edge.sources.decoder.gstreamer import is_nv12, open_capture, pipeline_of, unusable
from edge.sources.rtsp.camera_url import CameraUrl

HARMLESS = re.compile(r"[A-Za-z0-9\-._~%/?&=:,+@\[\]]*")
"""What neither GStreamer's parser nor its caps take for anything but a letter."""
SHAPE = re.compile(r'rtspsrc location="([^"]*)" protocols=tcp latency=100 drop-on-latency=true ! (.*)')


def test_the_pipeline_of_a_camera() -> None:
    assert pipeline_of(CameraUrl.parse("rtsp://192.0.2.7:8554/live?channel=1&subtype=0")) == (
        'rtspsrc location="rtsp://192.0.2.7:8554/live?channel=1&subtype=0" protocols=tcp latency=100 '
        "drop-on-latency=true ! application/x-rtp,media=video ! parsebin ! nvv4l2decoder enable-max-performance=1 ! "
        "nvvidconv ! video/x-raw,format=NV12 ! appsink sync=false drop=true max-buffers=1"
    )


@settings(deadline=None)
@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=60), st.text(max_size=60))
def test_nothing_in_an_address_can_leave_its_place(user: str, password: str, path: str, query: str) -> None:
    """Whatever a URL's parts are, the pipeline is the same but for one property, which means what the URL meant."""
    url = CameraUrl("rtsp", "[::1]", 554, f"/{path}?{query}", user, password)
    match = SHAPE.fullmatch(pipeline_of(url))
    assert match is not None
    assert HARMLESS.fullmatch(match[1])
    assert match[2] == SHAPE.fullmatch(pipeline_of(CameraUrl.parse("rtsp://a/b")))[2]  # type: ignore[index]
    assert unquote(match[1]) == unquote(url.with_secret())


@pytest.mark.parametrize(
    "nasty", ['" ! filesink location=/etc/passwd "', "\\", 'a\\" ! fakesink', "!", "(", "name=x", "'"]
)
def test_what_the_parser_knows_is_only_text(nasty: str) -> None:
    url = CameraUrl("rtsp", "camera", 554, f"/{nasty}", nasty, nasty)
    assert pipeline_of(url).count(" ! ") == pipeline_of(CameraUrl.parse("rtsp://a/b")).count(" ! ")
    assert pipeline_of(url).count('"') == 2


def test_nobody_posts_control_characters_anyway() -> None:
    with pytest.raises(SourceError, match="no blanks and no control characters"):
        CameraUrl.parse('rtsp://camera/live" ! fakesink')


def test_opencv_is_asked_for_the_pipeline_by_gstreamer_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []
    monkeypatch.setattr(cv2, "VideoCapture", lambda *arguments: asked.append(arguments))
    url = CameraUrl.parse("rtsp://camera/live")
    open_capture(url)
    assert asked == [(pipeline_of(url), cv2.CAP_GSTREAMER)]


def has_gstreamer() -> bool:
    return bool(cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER))


@pytest.mark.skipif(has_gstreamer(), reason="this OpenCV has GStreamer")
def test_an_opencv_without_gstreamer_is_named() -> None:
    assert unusable() == "this OpenCV was built without GStreamer; JetPack's own has it"


class Capture:
    """OpenCV's, with these pictures."""

    def __init__(self, *pictures: np.ndarray) -> None:
        self.pictures = list(pictures)

    def isOpened(self) -> bool:
        return bool(self.pictures)

    def read(self) -> tuple[bool, np.ndarray | None]:
        return (True, self.pictures.pop(0)) if self.pictures else (False, None)

    def release(self) -> None:
        self.pictures.clear()


@pytest.mark.parametrize(
    ("capture", "reason"),
    [
        (Capture(), "GStreamer has no nvvidconv, which is part of JetPack"),
        (Capture(np.zeros((4, 4, 3), np.uint8)), "OpenCV hands out (4, 4, 3) instead of NV12"),
        (Capture(np.zeros((6, 4), np.uint8)), None),
    ],
)
def test_a_machine_is_judged_by_a_drawn_picture(
    capture: Capture, reason: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cv2.videoio_registry, "hasBackend", lambda backend: backend == cv2.CAP_GSTREAMER)
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: capture)
    assert unusable() == reason
    assert not capture.pictures


@pytest.mark.skipif(not has_gstreamer(), reason="this OpenCV was built without GStreamer: pip's wheels are")
def test_with_gstreamer_a_drawn_picture_comes_as_nv12() -> None:
    assert unusable("videoconvert ! video/x-raw,format=NV12 ! appsink") is None
    assert unusable("nosuchelement ! appsink") == "GStreamer has no nvvidconv, which is part of JetPack"


def test_nv12_has_three_rows_for_two() -> None:
    assert is_nv12(np.zeros((6, 4), np.uint8))
    assert not is_nv12(np.zeros((6, 4, 3), np.uint8))
    assert not is_nv12(np.zeros((7, 4), np.uint8))
    assert not is_nv12(np.zeros((6, 3), np.uint8))
    assert jetson.TO_ARRAYS in pipeline_of(CameraUrl.parse("rtsp://a/b"))
