"""Pictures, and for students priors, as a network will see them: what int8 ranges are measured on."""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from edge.arrays import F32, U8
from edge.ops.host import HostOps
from edge.ops.letterbox import Letterbox
from edge.sources import open_source
from engines.engine import Execution
from engines.host import HostDevice
from engines.onnx_engine import OnnxEngine
from engines.signature import HEATMAP, IMAGE, PRIOR, Signature, check_pair

Feed = dict[str, U8 | F32]
"""Input name -> array with a batch of one."""

DRAWN_SCENE = "synthetic://?seed=3&people=20&width=1280&height=720"
BLOCK = 5
"""One frame is taken of so many; the prior is the heatmap of its block's first frame, so it is 0 to 4 frames old."""


def calibration_feeds(model: Path, signature: Signature, source: str, count: int) -> Iterator[Feed]:
    """Up to `count` inputs for the model file `model`, from a video, a sequence folder or a drawn scene.

    A student with a prior needs its teacher's file beside it. Raises SourceError, ModelFileError or SignatureError, and
    ValueError where the source has no frame.
    """
    teacher = _teacher(model, signature) if signature.prior else None
    ops, cuda_stream = HostOps(), HostDevice().cuda_stream()
    image = np.empty((1, 3, signature.height, signature.width), np.uint8)
    opened = open_source(source)
    taken = 0
    try:
        for number, frame in enumerate(islice(opened, count * BLOCK)):
            block, within = divmod(number, BLOCK)
            height, width = frame.image.shape[:2]
            fitted = Letterbox(width, height, signature.width, signature.height)
            ops.letterbox([frame.image], [fitted], image, cuda_stream)
            if teacher is not None and within == 0:
                np.copyto(teacher.inputs[IMAGE], image)
                teacher.run(1, cuda_stream)
            if within == (block % BLOCK if teacher is not None else 0):
                taken += 1
                yield {IMAGE: image.copy()} | ({} if teacher is None else {PRIOR: teacher.outputs[HEATMAP].copy()})
    finally:
        opened.close()
    if not taken:
        raise ValueError(f"{source} has no frame to calibrate with")


def _teacher(model: Path, signature: Signature) -> Execution:
    """The teacher whose heatmaps become the priors."""
    path = model.with_name(re.sub(r"-student(?=[-.])", "-teacher", model.name))
    engine = OnnxEngine(path, size=(signature.width, signature.height))
    check_pair(engine.signature, signature)  # at the student's size, at which its priors are needed
    return engine.prepare(1)
