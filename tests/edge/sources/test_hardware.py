import logging
from pathlib import Path

import av
import numpy as np
import pytest

from edge.letterbox import Letterbox
from edge.ops.host import HostOps
from edge.sources import hardware
from edge.sources.hardware import gpu_decoding, nv12
from engines.host import HostDevice


def picture(path: Path) -> av.VideoFrame:
    with av.open(str(path), hwaccel=gpu_decoding()) as container:
        return next(container.decode(video=0))


def test_without_a_gpu_decoding_stays_on_the_cpu_and_one_line_says_why(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        if gpu_decoding() is not None:
            pytest.skip("this machine decodes on its GPU")
    (line,) = caplog.messages
    assert line.startswith("decoding on the CPU: ")


def test_a_pyav_without_cuda_says_so(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(hardware, "hwdevices_available", lambda: ["drm"])
    with caplog.at_level(logging.INFO):
        assert gpu_decoding() is None
    assert caplog.messages == ["decoding on the CPU: this PyAV was built without CUDA"]


def test_a_picture_as_nv12_goes_through_the_letterbox_as_its_bgr_does(numbered_clip: Path) -> None:
    decoded = picture(numbered_clip)
    image = nv12(decoded)
    assert image.shape == (288, 320) and image.dtype == np.uint8 and image.flags.c_contiguous
    assert np.array_equal(image[:192], decoded.to_ndarray(format="yuv420p")[:192]), "luma is untouched"
    out = np.empty((2, 3, 96, 160), np.uint8)
    boxes = [Letterbox(320, 192, 160, 96)] * 2
    HostOps().letterbox([image, decoded.to_ndarray(format="bgr24")], boxes, out, HostDevice().cuda_stream())
    assert np.abs(out[0].astype(int) - out[1]).mean() < 3


def test_odd_sides_are_refused() -> None:
    with pytest.raises(ValueError, match="even sides, the picture has 63x64"):
        nv12(av.VideoFrame(63, 64, "rgb24"))
