"""`choose_decoding`: where this machine decodes video, chosen once, at the start.

    cpu         FFmpeg, in a process per camera; BGR into a shared ring and out of it
    gpu         the GPU's video unit, in a process per camera; NV12 comes to the host and goes on so, half the bytes
    gpu-direct  the GPU's video unit, in this process; pictures stay on the GPU: see edge.sources.surfaces
    gstreamer   a Jetson's video unit, in a process per camera; NV12 as with gpu

`auto` is cpu where the networks are told to stay there; else it takes the first of gpu, gstreamer and cpu that decodes
a test clip to the last bit, or draws a picture, in a process that is confined as a camera's is. It never takes
gpu-direct, which gives the wall between cameras and pipeline up. With gpu and gpu-direct, a camera whose codec is
refused later is decoded on the CPU, with a line of log; gstreamer does not open it.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, get_args

from av.codec.hwaccel import HWAccel

from edge.sources import hardware, surfaces
from edge.sources.decoder import gstreamer as jetson
from edge.sources.decoder import probe
from edge.sources.session import CameraSession, Connect, on_cpu
from engines.cuda_device import CudaDevice
from engines.errors import DeviceError

log = logging.getLogger(__name__)

Where = Literal["cpu", "gpu", "gpu-direct", "gstreamer"]
Wanted = Literal["auto", "cpu", "gpu", "gpu-direct", "gstreamer"]
WANTED: tuple[Wanted, ...] = get_args(Wanted)


@dataclass(frozen=True, slots=True)
class Decoding:
    """How sources decode."""

    where: Where = "cpu"
    connect: Connect = on_cpu
    """Opens a camera."""
    accelerator: Callable[[], HWAccel | None] = field(default=lambda: None)
    """What video files are decoded with."""


ON_CPU = Decoding()
Choice = Decoding | str
"""The string: why not."""


def choose_decoding(wanted: Wanted = "auto", device: str = "auto") -> Decoding:
    """The decoding that was wanted, or the best that works. One line of log says which and why.

    `device` is where the networks were told to run: with "cpu", `auto` asks nothing of a GPU.

    Raises DeviceError where one was named that this machine does not have. Waits for the GPU, some hundred ms.
    """
    refusals: list[str] = []
    if wanted == "auto" and device == "cpu":
        wanted = "cpu"
    for where in ("gpu", "gstreamer", "cpu") if wanted == "auto" else (wanted,):
        choice = _CHOICES[where]()
        if isinstance(choice, Decoding):
            log.info("video is decoded by %s (%s)", where, "; ".join(refusals) or f"as {wanted!r} says")
            return choice
        refusals.append(f"not by {where}: {choice}")
    raise DeviceError(f"this machine cannot decode video {refusals[0].removeprefix('not ')}; use 'auto'")


def survey() -> dict[str, str | None]:
    """Each way of decoding, and why this machine cannot; None where it can. For a process that does nothing else."""
    choices = {where: _CHOICES[where]() for where in ("gpu-direct", "gpu", "gstreamer", "cpu")}
    return {where: None if isinstance(choice, Decoding) else choice for where, choice in choices.items()}


def _on_cpu() -> Choice:
    return ON_CPU


def _on_gpu() -> Choice:
    accelerator, refused = hardware.gpu_decoding()
    if accelerator is None:
        return refused
    connect = partial(CameraSession, task="gpu")
    return probe.refusal("probe-gpu") or Decoding("gpu", connect, lambda: hardware.gpu_decoding()[0])


def _on_gpu_directly() -> Choice:
    try:
        device = CudaDevice(sleeping=True)
    except DeviceError as error:
        return str(error)
    wrong = hardware.difference(lambda: surfaces.decode_clip(device))
    connect = partial(surfaces.SurfaceSession, device=device)
    return wrong or Decoding("gpu-direct", connect, lambda: hardware.gpu_decoding()[0])


def _by_gstreamer() -> Choice:
    return (
        jetson.unusable()
        or probe.refusal("probe-gstreamer")
        or Decoding("gstreamer", partial(CameraSession, task="gstreamer"))
    )


_CHOICES: dict[str, Callable[[], Choice]] = {
    "cpu": _on_cpu,
    "gpu": _on_gpu,
    "gpu-direct": _on_gpu_directly,
    "gstreamer": _by_gstreamer,
}
