"""A Jetson's video unit, which FFmpeg does not reach and GStreamer does, by an OpenCV that was built with it.

JetPack's own OpenCV is (`apt install python3-opencv` in NVIDIA's repository, or NVIDIA's containers); the wheels
opencv-python and opencv-python-headless are not.
"""

from urllib.parse import quote

import cv2

from edge.arrays import U8
from edge.sources.rtsp.camera_url import CameraUrl

TO_ARRAYS = "nvvidconv ! video/x-raw,format=NV12 ! appsink sync=false drop=true max-buffers=1"
"""From the video unit's memory to the host's."""
_PLAIN = ":/?[]@&=+,~%"
"""What besides letters, digits and -._ means nothing to GStreamer's parser, even without quotes; all else is encoded,
since the parser takes a backslash before a closing quote for more than one thing."""


def pipeline_of(url: CameraUrl) -> str:
    """What `cv2.VideoCapture` opens, password and all: never to be logged.

    The newest picture as NV12 on the host, H.264 or H.265, over TCP. Decoding adds 0.1 s against jitter.
    """
    location = quote(url.with_secret(), safe=_PLAIN)
    source = f'rtspsrc location="{location}" protocols=tcp latency=100 drop-on-latency=true'
    return f"{source} ! application/x-rtp,media=video ! parsebin ! nvv4l2decoder enable-max-performance=1 ! {TO_ARRAYS}"


def unusable(to_arrays: str = TO_ARRAYS) -> str | None:
    """Why this machine cannot decode so; None where it can, as far as a drawn picture shows."""
    if not cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
        return "this OpenCV was built without GStreamer; JetPack's own has it"
    capture = cv2.VideoCapture(f"videotestsrc num-buffers=1 ! {to_arrays}", cv2.CAP_GSTREAMER)
    came, picture = capture.read()
    capture.release()
    if not came:
        return "GStreamer has no nvvidconv, which is part of JetPack"
    return None if picture.ndim == 2 else f"OpenCV hands out {picture.shape} instead of NV12"


def open_capture(url: CameraUrl) -> cv2.VideoCapture:
    """Connect to a camera; see `isOpened`. Waits for its first picture."""
    return cv2.VideoCapture(pipeline_of(url), cv2.CAP_GSTREAMER)


def is_nv12(picture: U8) -> bool:
    """Whether a picture is (height * 3/2, width) with even sides."""
    return picture.ndim == 2 and picture.shape[0] % 3 == 0 and picture.shape[1] % 2 == 0
