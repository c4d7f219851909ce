"""A Jetson's video unit, which FFmpeg does not reach and GStreamer does, by an OpenCV that was built with it.

JetPack's own OpenCV is (`apt install python3-opencv` in NVIDIA's repository, or NVIDIA's containers); the wheels
opencv-python and opencv-python-headless are not. GStreamer reaches the camera by the same relay as FFmpeg. It tells
neither key pictures nor broken ones nor time stamps, so frozen cameras and damaged video go unnoticed, and a picture's
time is that of its arrival.
"""

import time
from urllib.parse import quote

import cv2
import numpy as np

from edge.arrays import U8
from edge.ops.pixels import BT601
from edge.sources.base import SourceError
from edge.sources.decoder.connection import check_size, relayed
from edge.sources.decoder.messages import Job, Picture
from edge.sources.decoder.ring import Outlet
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


def decode_with_gstreamer(outlet: Outlet, job: Job) -> None:
    """NV12 pictures until the reader or the camera is gone. Raises SourceError."""
    with relayed(job) as address:
        capture = open_capture(address)
        if not capture.isOpened():
            raise SourceError("connection_failed", f"GStreamer cannot open {job.url}; check address and credentials")
        number = 0
        while True:
            came, picture = capture.read()
            now = time.monotonic(), time.time()
            if not came:
                break
            pixels = np.ascontiguousarray(picture, np.uint8)
            if not is_nv12(pixels):
                raise SourceError("decoder_crashed", f"GStreamer hands out {pixels.shape} of {job.url}, not NV12")
            height, width = pixels.shape[0] * 2 // 3, pixels.shape[1]
            check_size(job.url, job.settings, width, height)
            slot = outlet.slot_for_picture()
            if slot is not None:
                outlet.fill(slot, pixels)
                rest = (*now, None, False, False, BT601)
                outlet.send(Picture(slot, width, height, number, None, (0, 0), *rest))
            number += 1
        capture.release()
        raise SourceError("connection_failed", f"{job.url} closed the connection")
