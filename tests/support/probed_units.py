"""A server of decoders on a machine whose video units are made of host memory; all around them is the real thing.

FFmpeg's wants what CUDA's driver wants. The Jetson's wants a file of its user's, which a decoder has no business with.
"""

import sys
from pathlib import Path

from edge.sources.decoder import gstreamer, probe, server
from edge.sources.hardware import clip_pictures
from tests.support.taken_over import needs

OWN_FILE = Path("/tmp/registry-of-plugins")  # noqa: S108  (nothing is ever there)


def open_unit() -> tuple[object, str]:
    for name, want in needs().items():
        if "multi-process" not in name:  # few machines have it
            want()
    return object(), ""


def write_own_file() -> str | None:
    try:
        OWN_FILE.touch()
    except PermissionError as error:
        return f"its plugins cannot be listed ({error.strerror})"
    return None


if __name__ == "__main__":
    probe.gpu_decoding = open_unit
    probe.decode_clip = lambda accelerator: clip_pictures()
    gstreamer.unusable = write_own_file
    sys.argv = [sys.argv[0], sys.argv[-1]]
    server.main()
