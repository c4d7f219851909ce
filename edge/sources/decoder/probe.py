"""Whether a machine's video unit works where it has to: in a decoder process, under all that is forbidden there.

A driver may be well in a process that may do anything, and fail in one that may make no file of any size.
"""

from typing import Literal

from edge.sources.base import SourceError
from edge.sources.decoder import gstreamer
from edge.sources.decoder.limits import seal_with_driver
from edge.sources.decoder.messages import Exited, Job, Note
from edge.sources.decoder.process import DECODERS, DecoderProcess, DecoderServer
from edge.sources.decoder.ring import Outlet
from edge.sources.hardware import decode_clip, difference, gpu_decoding
from edge.sources.rtsp.camera_url import CameraUrl
from edge.sources.settings import SourceSettings

Probe = Literal["probe-gpu", "probe-gstreamer"]
PATIENCE_S = 30.0
"""How long a driver may take; the first CUDA context of a machine takes seconds."""
_NOBODY = CameraUrl.parse("rtsp://127.0.0.1/probe")
"""A job wants an address; nothing connects to this one."""


def refusal(probe: Probe, decoders: DecoderServer = DECODERS) -> str | None:
    """Why the video unit does not decode in a decoder process; None where it does, to the last bit."""
    try:
        with decoders:
            process = DecoderProcess(Job(_NOBODY, SourceSettings(), probe), decoders)
            try:
                answer = process.receive(PATIENCE_S)
            finally:
                process.close(0)
    except SourceError as error:
        return str(error)
    match answer:
        case Note(text):
            return text or None
        case Exited(code):
            return f"its driver ends a decoder process ({code})"
        case None:
            return f"its driver hangs in a decoder process for {PATIENCE_S:g} s"
        case _:
            return f"a decoder process cannot start ({answer})"


def probe_gpu(outlet: Outlet, job: Job) -> None:
    """Decode the test clip as cameras are decoded, and tell what is wrong."""
    accelerator, refused = gpu_decoding()
    seal_with_driver()
    wrong = refused if accelerator is None else difference(lambda: decode_clip(accelerator))
    outlet.send(Note(f"{wrong}, as a decoder process is confined" if wrong else ""))


def probe_gstreamer(outlet: Outlet, job: Job) -> None:
    """The same for a Jetson's, as far as a drawn picture shows it."""
    seal_with_driver()
    outlet.send(Note(gstreamer.unusable() or ""))
