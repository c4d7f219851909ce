"""Decoding to the GPU's memory: a real camera and a real decoder process, a stand-in for the video unit."""

import weakref
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from edge.ops.cuda_ops import CudaOps
from edge.ops.host import HostOps
from edge.ops.letterbox import Letterbox
from edge.ops.pixels import Surface, as_bgr
from edge.sources import hardware, surfaces
from edge.sources.base import Frame
from edge.sources.camera import CameraSource
from edge.sources.decoder.process import DECODERS
from edge.sources.hardware import clip_pictures, difference
from edge.sources.picture import Nv12Converter
from edge.sources.rtsp.camera_url import CameraUrl
from edge.sources.session import CameraSession, Connect, DecodingRefused
from edge.sources.settings import SourceSettings
from edge.sources.surfaces import SurfaceDecoder, SurfaceSession, decode_clip
from engines.cuda_device import CudaDevice
from engines.host import HostStream
from testbed.clips import read_number
from testbed.rtsp_server import RtspServer
from tests.support.host_driver import stand_in_gpu, statistic
from tests.support.video_unit import PITCH, VideoUnit

PATIENT = SourceSettings(connect_timeout_s=20, stall_timeout_s=20, backoff_min_s=0.02, backoff_max_s=0.1)


@pytest.fixture
def device() -> CudaDevice:
    return stand_in_gpu(sleeping=True)


def use(unit: VideoUnit, monkeypatch: pytest.MonkeyPatch) -> VideoUnit:
    monkeypatch.setattr(surfaces, "open_decoder", unit)
    return unit


def frames_of(camera: RtspServer, connect: Connect, count: int) -> list[Frame]:
    source = CameraSource(CameraUrl.parse(camera.url()), PATIENT, connect=connect)

    def closing() -> Iterator[Frame]:
        try:
            yield from source
        finally:
            source.close()

    return list(islice(closing(), count))


def test_a_cameras_pictures_stay_on_the_device_bit_for_bit(
    camera: RtspServer, numbered_clip: Path, device: CudaDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = use(VideoUnit(), monkeypatch)
    before = statistic("copied")
    frames = frames_of(camera, partial(SurfaceSession, device=device), 20)
    assert statistic("copied") == before, "no pixel crossed between host and device"
    ((codec, accelerator),) = unit.opened
    assert codec == "h264" and accelerator.is_hw_owned and accelerator.options["primary_ctx"] == "1"
    with av.open(str(numbered_clip)) as container:
        expected = [Nv12Converter()(one) for _, one in zip(range(20), container.decode(video=0), strict=False)]
    ops, queue, box = CudaOps(device, b"kernels"), device.cuda_stream(), Letterbox(320, 192, 160, 96)
    out, wanted = device.empty((1, 3, 96, 160), np.uint8), np.empty((1, 3, 96, 160), np.uint8)
    for number, (frame, nv12) in enumerate(zip(frames, expected, strict=True)):
        assert isinstance(frame.pixels, Surface) and frame.size == (320, 192)
        assert frame.pixels.luma.shape == (192, PITCH)
        assert read_number(frame.image) == number == frame.index
        assert np.array_equal(frame.pixels.download(), nv12)
        ops.letterbox([frame.pixels], [box], out, queue)
        HostOps().letterbox([nv12], [box], wanted, HostStream())
        back = device.host_empty(out.shape, np.uint8)
        device.copy(out, back, queue)
        queue.synchronize()
        assert np.array_equal(back, wanted)
    assert (np.diff([frame.time_s for frame in frames]) > 0).all()


def test_a_codec_that_the_unit_refuses_is_decoded_on_the_cpu_at_once_and_said(
    camera: RtspServer, device: CudaDevice, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    use(VideoUnit(takes=("hevc",)), monkeypatch)
    frames = frames_of(camera, partial(SurfaceSession, device=device), 5)
    assert [read_number(frame.image) for frame in frames] == list(range(5))
    assert all(isinstance(frame.pixels, np.ndarray) and frame.pixels.ndim == 3 for frame in frames)
    (line,) = [one for one in caplog.messages if "CPU" in one]
    assert line.endswith("/camera is decoded on the CPU: the GPU's video unit does not take h264 High yuv420p 320x192")


def test_a_decoder_process_for_a_gpu_that_is_not_there_goes_on_with_nv12_and_says_so(
    camera: RtspServer, caplog: pytest.LogCaptureFixture
) -> None:
    accelerator, _ = hardware.gpu_decoding()
    frames = frames_of(camera, partial(CameraSession, task="gpu"), 20)
    assert [read_number(frame.image) for frame in frames] == list(range(20))
    assert all(isinstance(frame.pixels, np.ndarray) and frame.pixels.shape == (288, 320) for frame in frames)
    lines = [one for one in caplog.messages if "decoded on the CPU: no video unit of GPU 0" in one]
    assert len(lines) == (accelerator is None)


def test_a_closed_session_gives_the_unit_back_at_once_and_its_pictures_outlive_it(
    camera: RtspServer, device: CudaDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(VideoUnit(), monkeypatch)
    session = SurfaceSession(CameraUrl.parse(camera.url()), PATIENT, DECODERS, device)
    try:
        while (arrival := session.next(20)) is None:
            pass
        decoder = weakref.ref(session._decoder)
        assert decoder() is not None
    finally:
        session.close()
    assert decoder() is None, "the session itself may live on, in the error that ended it"
    assert isinstance(arrival.pixels, Surface) and read_number(as_bgr(arrival.pixels)) == 0


def packets(clip: Path) -> list[av.Packet]:
    with av.open(str(clip)) as container:
        return list(container.demux(container.streams.video[0]))


def refusal(decoder: SurfaceDecoder, clip: Path) -> str:
    with pytest.raises(DecodingRefused) as refused:
        for packet in packets(clip):
            list(decoder.decode(packet))
    return str(refused.value)


def test_other_than_8_bit_nv12_is_refused(
    device: CudaDevice, numbered_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(VideoUnit(layout="p010le"), monkeypatch)
    decoder = SurfaceDecoder("h264", packets_extradata(numbered_clip), device)
    assert refusal(decoder, numbered_clip) == (
        "the pipeline takes 8 bit NV12 with even sides from the GPU, not h264 High p010le 320x192"
    )


def packets_extradata(clip: Path) -> bytes:
    with av.open(str(clip)) as container:
        return container.streams.video[0].codec_context.extradata or b""


def test_a_unit_that_does_not_open_is_a_refusal(device: CudaDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(codec: str, accelerator: object) -> None:
        raise av.error.PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(surfaces, "open_decoder", refuse)
    with pytest.raises(DecodingRefused, match="does not open for h264"):
        SurfaceDecoder("h264", b"", device)


@pytest.mark.parametrize("broken", [av.error.InvalidDataError(1, "broken"), av.error.ExternalError(1, "no memory")])
def test_broken_packets_are_skipped_and_a_driver_that_fails_is_a_refusal(
    broken: av.error.FFmpegError, device: CudaDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(VideoUnit(), monkeypatch)
    decoder = SurfaceDecoder("h264", b"", device)

    def fail(packet: av.Packet) -> list[object]:
        raise broken

    monkeypatch.setattr(decoder._decoder, "decode", fail)
    if isinstance(broken, av.error.InvalidDataError):
        assert list(decoder.decode(av.Packet(b"x"))) == []
    else:
        with pytest.raises(DecodingRefused, match="the GPU's video unit failed"):
            list(decoder.decode(av.Packet(b"x")))


def test_the_probe_clip_is_right_to_the_last_bit_while_all_its_pictures_are_held(
    device: CudaDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(VideoUnit(), monkeypatch)
    assert difference(lambda: decode_clip(device)) is None
    monkeypatch.setattr(Surface, "download", lambda self: clip_pictures()[0])
    assert (
        difference(lambda: decode_clip(device)) == "it decodes pictures [1, 2, 3, 4, 5, 6, 7, 8] of a test clip wrongly"
    )
