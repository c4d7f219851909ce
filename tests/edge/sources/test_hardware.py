"""The video unit by FFmpeg, and how a decoder is judged. Without a GPU: what is said where there is none."""

from pathlib import Path

import av
import numpy as np
import pytest
from av.codec.hwaccel import HWAccel
from av.video.reformatter import Colorspace

from edge.ops.host import HostOps
from edge.ops.letterbox import Letterbox
from edge.ops.pixels import BT601, BT601_FULL, BT709, BT709_FULL, Colours, nv12_to_bgr, on_host
from edge.sources import hardware
from edge.sources.hardware import clip_pictures, decode_clip, decoded_on_gpu, difference, gpu_decoding
from edge.sources.picture import BgrConverter, Nv12Converter
from edge.sources.video import VideoFile
from engines.host import HostStream


def picture(path: Path) -> av.VideoFrame:
    with av.open(str(path), hwaccel=gpu_decoding()[0]) as container:
        return next(container.decode(video=0))


def test_without_a_gpu_there_is_no_accelerator_and_a_reason() -> None:
    accelerator, refused = gpu_decoding()
    if accelerator is not None:
        pytest.skip("this machine decodes on its GPU")
    assert refused.startswith("no video unit of GPU 0 (")


def test_a_pyav_without_cuda_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "hwdevices_available", lambda: ["drm"])
    assert gpu_decoding() == (None, "this PyAV was built without CUDA")


def test_where_the_driver_agrees_there_is_an_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Agreeing:
        def __init__(self, kind: str, device: str, allow_software_fallback: bool) -> None:
            asked.append((kind, device, allow_software_fallback))

        def create(self, codec: av.Codec) -> None:
            asked.append(codec.name)

    monkeypatch.setattr(hardware, "HWAccel", Agreeing)
    accelerator, refused = gpu_decoding(1)
    assert isinstance(accelerator, Agreeing) and refused == ""
    assert asked == [("cuda", "1", True), "h264"]


def test_nv12_keeps_luma_as_decoded_and_goes_through_the_letterbox_as_its_bgr_does(numbered_clip: Path) -> None:
    decoded = picture(numbered_clip)
    image = Nv12Converter()(decoded)
    assert image.shape == (288, 320) and image.dtype == np.uint8 and image.flags.c_contiguous
    assert np.array_equal(image[:192], decoded.to_ndarray(format="yuv420p")[:192]), "luma is untouched"
    out = np.empty((2, 3, 96, 160), np.uint8)
    boxes = [Letterbox(320, 192, 160, 96)] * 2
    HostOps().letterbox([image, decoded.to_ndarray(format="bgr24")], boxes, out, HostStream())
    assert np.abs(out[0].astype(int) - out[1]).mean() < 3


def test_what_comes_as_nv12_is_copied_and_not_converted() -> None:
    nv12 = np.random.default_rng(0).integers(0, 256, (48, 64)).astype(np.uint8)
    assert np.array_equal(Nv12Converter()(av.VideoFrame.from_ndarray(nv12, format="nv12")), nv12)


@pytest.mark.parametrize(
    ("layout", "space", "colours"),
    [
        ("yuv420p", Colorspace.ITU601, BT601),
        ("yuvj420p", Colorspace.ITU601, BT601_FULL),
        ("yuv420p", Colorspace.ITU709, BT709),
        ("yuvj420p", Colorspace.ITU709, BT709_FULL),
    ],
)
def test_a_picture_keeps_its_own_colours_and_says_which_they_are(
    layout: str, space: Colorspace, colours: Colours
) -> None:
    planes = np.full((48, 64), 110, np.uint8)
    planes[:32, :32], planes[:32, 32:] = 40, 200
    planes[40:] = 150
    decoded = av.VideoFrame.from_ndarray(planes, format=layout)
    decoded.colorspace = space
    image, told = on_host(Nv12Converter()(decoded))
    assert told is colours
    assert np.array_equal(image[:32], planes[:32]) and set(image[32:].ravel()) == {110, 150}
    as_ffmpeg_has_it = BgrConverter()(decoded).astype(int)
    assert np.abs(nv12_to_bgr(image, told) - as_ffmpeg_has_it).max() <= 3, "whatever decodes, the tint is the same"


def test_odd_sides_come_as_bgr() -> None:
    assert Nv12Converter()(av.VideoFrame(63, 64, "rgb24")).shape == (64, 63, 3)


def test_a_file_for_the_gpu_that_ffmpeg_decodes_by_itself_comes_as_nv12_all_the_same(numbered_clip: Path) -> None:
    """The accelerator is taken away on the way, which is what FFmpeg does where the unit refuses a codec."""
    expected = [frame.image for frame in VideoFile(numbered_clip)]

    class OnlyNv12(VideoFile):
        def _open(self, threads: int, hwaccel: HWAccel | None) -> tuple[av.container.InputContainer, av.VideoStream]:
            return super()._open(threads, None)

    frames = list(OnlyNv12(numbered_clip, hwaccel=HWAccel("cuda")))
    assert len(frames) == len(expected)
    assert all(frame.pixels.shape == (288, 320) and frame.size == (320, 192) for frame in frames)
    assert np.abs(frames[40].image.astype(int) - expected[40]).mean() < 3


def test_the_clip_decodes_everywhere_alike_and_says_what_is_wrong_otherwise() -> None:
    pictures = clip_pictures()
    assert [one.shape for one in pictures] == [(192, 192)] * 9
    assert len({one.tobytes() for one in pictures}) == 9, "no two are alike"
    assert difference(clip_pictures) is None
    assert difference(lambda: pictures[1:]) == "it makes 8 pictures of a test clip's 9"
    wrong = [*pictures[:4], pictures[4] ^ 1, *pictures[5:]]
    assert difference(lambda: wrong) == "it decodes pictures [4] of a test clip wrongly"


def test_a_decoder_that_fails_on_the_clip_says_how() -> None:
    def fail() -> list[np.ndarray]:
        raise RuntimeError("out of surfaces")

    assert difference(fail) == "it cannot decode a test clip (RuntimeError: out of surfaces)"


def test_a_unit_that_leaves_the_work_to_ffmpeg_is_no_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    on_cpu = hardware.open_decoder
    monkeypatch.setattr(hardware, "open_decoder", lambda codec, accelerator=None: on_cpu(codec))
    with pytest.raises(RuntimeError, match="left the clip to the CPU"):
        decode_clip(HWAccel("cuda"))
    assert not decoded_on_gpu(av.VideoFrame(2, 2, "yuv420p"))


def test_the_clip_from_a_unit_is_taken_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    on_cpu = hardware.open_decoder

    class Unit:
        def __init__(self) -> None:
            self.decoder = on_cpu("h264")

        def decode(self, packet: av.Packet) -> list[av.VideoFrame]:
            return [one.reformat(format="nv12") for one in self.decoder.decode(packet)]

    monkeypatch.setattr(
        hardware, "open_decoder", lambda codec, accelerator=None: Unit() if accelerator else on_cpu(codec)
    )
    assert difference(lambda: decode_clip(HWAccel("cuda"))) is None
