"""Where video is decoded: chosen once, with one line of log."""

import logging
from functools import partial

import pytest

from edge.sources import decoding, hardware, open_source, surfaces
from edge.sources.base import SourceError
from edge.sources.camera import CameraSource
from edge.sources.decoder import gstreamer as jetson
from edge.sources.decoder import probe
from edge.sources.decoding import ON_CPU, choose_decoding, survey
from edge.sources.session import CameraSession, on_cpu
from engines.cuda_device import CudaDevice
from engines.errors import DeviceError
from tests.support.host_driver import stand_in_gpu
from tests.support.video_unit import VideoUnit


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with nothing but processors."""
    monkeypatch.setattr(hardware, "gpu_decoding", lambda index=0: (None, "no GPU"))
    monkeypatch.setattr(jetson, "unusable", lambda: "no GStreamer")


@pytest.fixture
def gpu(bare: None, monkeypatch: pytest.MonkeyPatch) -> object:
    """A machine with a video unit that works."""
    accelerator = object()
    monkeypatch.setattr(hardware, "gpu_decoding", lambda index=0: (accelerator, ""))
    monkeypatch.setattr(probe, "refusal", lambda which: None)
    return accelerator


def the_line(caplog: pytest.LogCaptureFixture) -> str:
    (line,) = [one.message for one in caplog.records if one.name == "edge.sources.decoding"]
    return line


def test_a_bare_machine_decodes_on_the_cpu_and_says_why_in_one_line(
    bare: None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert choose_decoding() is ON_CPU
    assert the_line(caplog) == "video is decoded by cpu (not by gpu: no GPU; not by gstreamer: no GStreamer)"


def test_nothing_is_asked_of_a_gpu_where_the_cpu_is_wanted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hardware, "gpu_decoding", lambda index=0: pytest.fail("the GPU was asked"))
    with caplog.at_level(logging.INFO):
        assert choose_decoding("cpu") is ON_CPU
    assert the_line(caplog) == "video is decoded by cpu (as 'cpu' says)"


def test_nothing_is_asked_of_a_gpu_where_the_networks_are_told_to_stay_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hardware, "gpu_decoding", lambda index=0: pytest.fail("the GPU was asked"))
    assert choose_decoding("auto", device="cpu") is ON_CPU


def test_a_video_unit_that_decodes_rightly_is_taken_with_a_process_per_camera(
    gpu: object, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        chosen = choose_decoding()
    assert chosen.where == "gpu" and chosen.accelerator() is gpu
    assert isinstance(chosen.connect, partial)
    assert chosen.connect.func is CameraSession and chosen.connect.keywords == {"task": "gpu"}
    assert the_line(caplog) == "video is decoded by gpu (as 'auto' says)"


def test_a_video_unit_that_decodes_wrongly_is_not(gpu: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "refusal", lambda which: "it decodes pictures [0, 1] of a test clip wrongly")
    assert choose_decoding() is ON_CPU
    with pytest.raises(DeviceError, match=r"cannot decode video by gpu: it decodes pictures \[0, .* use 'auto'"):
        choose_decoding("gpu")


def test_a_jetson_decodes_by_gstreamer(bare: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jetson, "unusable", lambda: None)
    monkeypatch.setattr(probe, "refusal", lambda which: None)
    chosen = choose_decoding()
    assert chosen.where == "gstreamer" and chosen.accelerator() is None
    assert isinstance(chosen.connect, partial) and chosen.connect.keywords == {"task": "gstreamer"}


@pytest.mark.parametrize(
    ("wanted", "reason"), [("gpu", "no GPU"), ("gstreamer", "no GStreamer"), ("gpu-direct", "no CUDA driver")]
)
def test_what_is_named_and_missing_ends_the_start(wanted: str, reason: str, bare: None) -> None:
    if wanted == "gpu-direct" and not isinstance(decoding._on_gpu_directly(), str):
        pytest.skip("this machine has a GPU")
    with pytest.raises(DeviceError, match=f"cannot decode video by {wanted}: {reason}.*use 'auto'"):
        choose_decoding(wanted)


def on_the_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "CudaDevice", stand_in_gpu)
    monkeypatch.setattr(surfaces, "open_decoder", VideoUnit())


def test_pictures_stay_on_the_gpu_only_where_that_was_wanted(gpu: object, monkeypatch: pytest.MonkeyPatch) -> None:
    on_the_stand_in(monkeypatch)
    assert choose_decoding("auto").where == "gpu"
    chosen = choose_decoding("gpu-direct")
    assert chosen.where == "gpu-direct" and chosen.accelerator() is gpu
    assert isinstance(chosen.connect, partial) and chosen.connect.func is surfaces.SurfaceSession
    assert isinstance(chosen.connect.keywords["device"], CudaDevice)


def test_a_survey_says_it_of_every_way(gpu: object, monkeypatch: pytest.MonkeyPatch) -> None:
    on_the_stand_in(monkeypatch)
    assert survey() == {"gpu-direct": None, "gpu": None, "gstreamer": "no GStreamer", "cpu": None}


def test_cameras_are_opened_as_was_chosen() -> None:
    by_default = open_source("rtsp://camera/live")
    chosen = open_source("rtsp://camera/live", decoding=decoding.Decoding("gpu", partial(CameraSession, task="gpu")))
    assert isinstance(by_default, CameraSource) and by_default._connect is on_cpu
    assert isinstance(chosen, CameraSource) and isinstance(chosen._connect, partial)


def test_files_get_the_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def accelerator() -> None:
        asked.append(True)

    with pytest.raises(SourceError, match="no such file"):
        open_source("/nowhere.mp4", decoding=decoding.Decoding("gpu", accelerator=accelerator))
    assert asked == [True]
