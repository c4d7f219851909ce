"""Decoding on the GPU's video unit by FFmpeg's CUDA decoder.

    accelerator, refused = gpu_decoding()
    container = av.open(url, hwaccel=accelerator)

Pictures come back to the host as NV12: half the bytes of BGR, and no colour is converted on the host, since
`Ops.letterbox` takes NV12 as it is. A stream that the unit cannot decode is decoded on the host by FFmpeg itself; see
`decoded_on_gpu`. Pictures that stay on the GPU are the matter of `edge.sources.surfaces`.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.error import FFmpegError

from edge.arrays import U8

CLIP = Path(__file__).with_name("probe.h264")
"""Nine pictures of 192x128, drawn by us: more than a decoder's surfaces if somebody holds them all."""
_ON_GPU = ("nv12", "p010le", "p016le", "cuda")


def gpu_decoding(index: int = 0) -> tuple[HWAccel | None, str]:
    """What `av.open` wants as `hwaccel` to decode on GPU number `index`; or None, and why that cannot be.

    The GPU is asked here and now, so that opening a camera cannot fail for it. Costs some milliseconds, on a GPU some
    hundred.
    """
    if "cuda" not in hwdevices_available():
        return None, "this PyAV was built without CUDA"
    try:
        accelerator = HWAccel("cuda", device=str(index), allow_software_fallback=True)
        accelerator.create(av.Codec("h264", "r"))
    except (FFmpegError, RuntimeError) as error:  # PyAV raises either, as the driver or FFmpeg's build refuses
        return None, f"no video unit of GPU {index} ({error})"
    return accelerator, ""


def open_decoder(codec: str, accelerator: HWAccel | None = None) -> av.VideoCodecContext:
    """FFmpeg's decoder for packets. Raises FFmpegError, ValueError or RuntimeError."""
    decoder = av.CodecContext.create(codec, "r", accelerator)
    assert isinstance(decoder, av.VideoCodecContext)  # noqa: S101
    decoder.thread_count = 1  # no picture waits for the next one's thread
    return decoder


def decoded_on_gpu(picture: av.VideoFrame) -> bool:
    """Whether a picture came from the video unit; FFmpeg's own decoders have no such formats."""
    return picture.format.name in _ON_GPU


def clip_packets() -> Iterator["av.Packet[av.VideoStream]"]:
    """The probe clip as the packets of an H.264 byte stream; the last one is empty and ends it."""
    with av.open(str(CLIP), format="h264") as container:
        yield from container.demux(container.streams.video[0])


def clip_pictures() -> list[U8]:
    """The probe clip as FFmpeg itself decodes it: NV12 (192, 192) each. H.264 leaves no decoder any choice."""
    decoder = open_decoder("h264")
    pictures = [picture for packet in clip_packets() for picture in decoder.decode(packet)]
    return [np.asarray(picture.to_ndarray(format="nv12"), np.uint8) for picture in pictures]


def difference(decode: Callable[[], list[U8]]) -> str | None:
    """What is wrong with a decoder that returns the probe clip's pictures as NV12; None where every byte is right."""
    expected = clip_pictures()
    try:
        found = decode()
    except Exception as error:  # a driver's, FFmpeg's or OpenCV's: whatever it is, this decoder is not to be used
        return f"it cannot decode a test clip ({type(error).__name__}: {error})"
    if len(found) != len(expected):
        return f"it makes {len(found)} pictures of a test clip's {len(expected)}"
    wrong = [number for number, picture in enumerate(expected) if not np.array_equal(found[number], picture)]
    return f"it decodes pictures {wrong} of a test clip wrongly" if wrong else None


def decode_clip(accelerator: HWAccel) -> list[U8]:
    """The probe clip decoded by `accelerator`: NV12. Raises RuntimeError where the unit left it to FFmpeg."""
    decoder = open_decoder("h264", accelerator)
    pictures = [picture for packet in clip_packets() for picture in decoder.decode(packet)]
    if not all(map(decoded_on_gpu, pictures)):
        raise RuntimeError("the GPU's video unit left the clip to the CPU")
    return [np.asarray(picture.to_ndarray(), np.uint8) for picture in pictures]
