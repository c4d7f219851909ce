"""Decoded pictures to arrays."""

from typing import Final

import av
import numpy as np
from av.video.reformatter import ColorRange, VideoReformatter

from edge.arrays import U8

_VIDEO_RANGE: Final = ColorRange.MPEG


class BgrConverter:
    """Makes upright BGR images (H, W, 3), C-contiguous. Keeps its scaler: making one costs seven times its use."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def __call__(self, picture: av.VideoFrame) -> U8:
        image = self._reformatter.reformat(picture, format="bgr24").to_ndarray().astype(np.uint8, copy=False)
        quarter_turns = quarter_turns_of(picture)
        return np.ascontiguousarray(np.rot90(image, quarter_turns)) if quarter_turns else image


class Nv12Converter:
    """Makes NV12 (H * 3/2, W) in video range of upright pictures with even sides, and BGR (H, W, 3) of all others.

    What a GPU's video unit decoded is NV12 already and is only copied, unless the camera sends full range.
    """

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._to_bgr = BgrConverter()

    def __call__(self, picture: av.VideoFrame) -> U8:
        if picture.width % 2 or picture.height % 2 or quarter_turns_of(picture):
            return self._to_bgr(picture)
        full_range = picture.color_range == ColorRange.JPEG or picture.format.name.startswith("yuvj")
        if full_range or picture.format.name != "nv12":
            picture = self._reformatter.reformat(picture, format="nv12", dst_color_range=_VIDEO_RANGE)
        return np.ascontiguousarray(picture.to_ndarray(), np.uint8)


def quarter_turns_of(picture: av.VideoFrame) -> int:
    """How often it has to be turned to the left to stand upright: phones store portrait video lying on its side."""
    return round(picture.rotation / 90) % 4
