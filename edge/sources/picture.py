"""Decoded pictures to BGR arrays."""

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from edge.arrays import U8


class BgrConverter:
    """Makes upright BGR images (H, W, 3), C-contiguous. Keeps its scaler: making one costs seven times its use."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def __call__(self, picture: av.VideoFrame) -> U8:
        image = self._reformatter.reformat(picture, format="bgr24").to_ndarray().astype(np.uint8, copy=False)
        quarter_turns = round(picture.rotation / 90) % 4  # phones store portrait video lying on its side
        return np.ascontiguousarray(np.rot90(image, quarter_turns)) if quarter_turns else image
