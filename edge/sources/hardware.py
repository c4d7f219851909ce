"""Decoding on the GPU's video unit, for whoever opens a container with PyAV:

    container = av.open(url, hwaccel=gpu_decoding(0))

FFmpeg's CUDA decoder does the work. Its pictures come back to the host as NV12: half the bytes of BGR, and no colour
is converted on the host, since `Ops.letterbox` takes NV12 as it is. A stream that the unit cannot decode is decoded on
the host. A picture may also stay on the GPU (`HWAccel(is_hw_owned=True)`); nothing here asks for that, because cameras
are decoded in processes of their own, from which device memory does not come across.
"""

import logging

import av
import numpy as np
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.error import FFmpegError

from edge.arrays import U8

log = logging.getLogger(__name__)


def gpu_decoding(index: int = 0) -> HWAccel | None:
    """What `av.open` wants as `hwaccel` to decode on GPU number `index`; None, and one line of log, where it cannot be.

    The GPU is asked here and now, so that opening a camera cannot fail for it. Costs some milliseconds, on a GPU some
    hundred.
    """
    if "cuda" not in hwdevices_available():
        log.info("decoding on the CPU: this PyAV was built without CUDA")
        return None
    try:
        accelerator = HWAccel("cuda", device=str(index), allow_software_fallback=True)
        accelerator.create(av.Codec("h264", "r"))
    except (FFmpegError, RuntimeError) as error:  # PyAV raises either, as the driver or FFmpeg's build refuses
        log.info("decoding on the CPU: no video unit of GPU %d (%s)", index, error)
        return None
    return accelerator


def nv12(picture: av.VideoFrame) -> U8:
    """(height * 3/2, width): luma, then the two chroma values in turn; even sides only, as cameras have them.

    Raises ValueError for a picture with an odd side. Pictures from the GPU are in this form already; others are
    converted.
    """
    if picture.width % 2 or picture.height % 2:
        raise ValueError(f"NV12 needs even sides, the picture has {picture.width}x{picture.height}")
    return np.ascontiguousarray(picture.to_ndarray(format="nv12"), np.uint8)
