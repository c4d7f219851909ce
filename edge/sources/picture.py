"""From coded video to arrays: which of a container's streams is the film, and its pictures upright, as BGR or NV12."""

import struct
from collections.abc import Mapping
from typing import Final, cast

import av
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Disposition
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from edge.arrays import U8
from edge.ops.pixels import BT601, BT601_FULL, BT709, BT709_FULL, Colours, Pixels, coloured

_NO_FILM = Disposition.attached_pic | Disposition.still_image | Disposition.timed_thumbnails

_STILL = ("mjpeg", "png", "bmp", "gif", "tiff", "webp")
"""Codecs of previews, unless nothing else is there."""


def film_of(container: av.container.InputContainer) -> av.VideoStream | None:
    """The video stream to be looked at: no preview where there is anything else, then the default one, the largest.

    None where there is no video at all.
    """

    def worth(stream: av.VideoStream) -> tuple[bool, bool, int, int]:
        codec = getattr(stream, "codec_context", None)
        still = stream.disposition & _NO_FILM or stream.frames == 1 or (codec and codec.name in _STILL)
        pixels = codec.width * codec.height if codec is not None else 0
        return not still, bool(stream.disposition & Disposition.default), pixels, -stream.index

    return max(container.streams.video, key=worth, default=None)


class Orientation:
    """How a picture has to be turned and mirrored to stand upright: phones store video lying, front cameras mirrored.

    There are eight ways; a display matrix that says anything else (a lens corrected by some degrees) is taken for the
    nearest.
    """

    def __init__(self, transposed: bool = False, flip_columns: bool = False, flip_rows: bool = False) -> None:
        self._transposed, self._flip_columns, self._flip_rows = transposed, flip_columns, flip_rows

    @classmethod
    def of(cls, picture: av.VideoFrame) -> "Orientation":
        """What the picture, or the file it is from, says: (x, y) of the stored one is shown at (ax + cy, bx + dy)."""
        side_data = cast("Mapping[object, bytes]", picture.side_data).get(SideDataType.DISPLAYMATRIX)
        if side_data is None or len(bytes(side_data)) != 36:
            return UPRIGHT
        a, b, _, c, d, *_ = struct.unpack("=9i", bytes(side_data))
        if abs(a) + abs(d) >= abs(b) + abs(c):
            return cls(False, a < 0, d < 0)
        return cls(True, c < 0, b < 0)

    @property
    def upright(self) -> bool:
        """Whether nothing has to be done."""
        return not (self._transposed or self._flip_columns or self._flip_rows)

    def apply(self, image: U8) -> U8:
        """The (H, W, 3) image upright, C-contiguous; where nothing has to be done it is the same one."""
        image = image.swapaxes(0, 1) if self._transposed else image
        rows, columns = (slice(None, None, -1 if flipped else 1) for flipped in (self._flip_rows, self._flip_columns))
        return np.ascontiguousarray(image[rows, columns])


UPRIGHT: Final = Orientation()


class BgrConverter:
    """Makes upright BGR images (H, W, 3), C-contiguous. Keeps its scaler: making one costs seven times its use."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def __call__(self, picture: av.VideoFrame) -> U8:
        image = self._reformatter.reformat(picture, format="bgr24").to_ndarray().astype(np.uint8, copy=False)
        return Orientation.of(picture).apply(image)


def colours_of(picture: av.VideoFrame) -> Colours:
    """How a picture's luma and chroma become colours; what says nothing of it is BT.601 in video range."""
    full = picture.color_range == ColorRange.JPEG or picture.format.name.startswith("yuvj")
    if picture.colorspace == Colorspace.ITU709:
        return BT709_FULL if full else BT709
    return BT601_FULL if full else BT601


class Nv12Converter:
    """Makes NV12 of upright pictures with even sides, in the camera's own colours, and BGR (H, W, 3) of all others.

    What a GPU's video unit decoded is NV12 already and is only copied.
    """

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._to_bgr = BgrConverter()

    def __call__(self, picture: av.VideoFrame) -> Pixels:
        if picture.width % 2 or picture.height % 2 or not Orientation.of(picture).upright:
            return self._to_bgr(picture)
        colours = colours_of(picture)
        if picture.format.name != "nv12":
            kept = ColorRange.JPEG if colours in (BT601_FULL, BT709_FULL) else ColorRange.MPEG
            picture = self._reformatter.reformat(picture, format="nv12", src_color_range=kept, dst_color_range=kept)
        return coloured(np.ascontiguousarray(picture.to_ndarray(), np.uint8), colours)
