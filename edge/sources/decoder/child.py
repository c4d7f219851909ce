"""The decoder process of one camera: does its job, or says why that is not possible."""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from edge.sources.decoder.connection import NeedsParser
from edge.sources.decoder.gstreamer import decode_with_gstreamer
from edge.sources.decoder.limits import confine
from edge.sources.decoder.messages import NEEDS_PARSER, Job, Task, pack_error
from edge.sources.decoder.outlet import Outlet, Stop
from edge.sources.decoder.packets import hand_packets_over
from edge.sources.decoder.pictures import decode_on_cpu, decode_on_gpu
from edge.sources.decoder.ring import PictureRing
from edge.sources.video_error import camera_error

LONGEST_JOB = 16384
TASKS: Mapping[Task, Callable[[Outlet, Job], None]] = {
    "cpu": decode_on_cpu,
    "gpu": decode_on_gpu,
    "packets": hand_packets_over,
    "gstreamer": decode_with_gstreamer,
}


def run(channel: socket.socket) -> None:
    """Do the job that comes over `channel` until its other end is closed, or say why that is not possible."""
    message, descriptors, _, _ = socket.recv_fds(channel, LONGEST_JOB, 1)
    if not message:
        return
    job = Job.unpack(message)
    outlet = Outlet(channel, PictureRing(descriptors[0], job.settings.max_pixels))
    os.close(descriptors[0])
    ca_file = job.settings.ca_file
    confine(None if job.with_driver else job.settings.decoder_memory_mb, () if ca_file is None else (Path(ca_file),))
    began_s = time.monotonic()
    try:
        TASKS[job.task](outlet, job)
    except Stop:
        return
    except NeedsParser:
        os._exit(NEEDS_PARSER)
    except Exception as error:  # FFmpeg's, ours or a bug: the reader is told before this process ends
        failure = camera_error(error, job.url, job.settings, time.monotonic() - began_s)
        with contextlib.suppress(OSError):
            channel.send(pack_error(failure))
