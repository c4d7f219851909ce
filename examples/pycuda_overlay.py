"""A kernel of your own, by pycuda, on the arrays of the pipeline: the teacher's heatmap over the letterboxed picture.

    pip install pycuda            # builds against the CUDA toolkit, and wants a driver
    python examples/pycuda_overlay.py film.mp4 overlay.png

Context and memory are shared: pycuda works in the primary context, and the pipeline's arrays say where they lie
by `__cuda_array_interface__` (CuPy, Numba and torch read that, too) and by DLPack. Nothing is copied.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np

from edge.arrays import U8
from edge.ops.base import Ops
from edge.ops.letterbox import Letterbox
from edge.pipeline.backend import open_backend
from edge.pipeline.config import INPUT_SIZE
from edge.sources import open_source
from engines.device import GpuDevice
from engines.engine import Engine
from engines.signature import HEATMAP, IMAGE, STRIDE

KERNEL = """
extern "C" __global__ void overlay(unsigned char* image, const float* heatmap, int width, int height, int stride) {
  const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
  if (x >= width || y >= height) return;
  const float likely = heatmap[y / stride * (width / stride) + x / stride];
  unsigned char* red = image + y * width + x;  // the first of three planes
  *red = (unsigned char)(*red + likely * (255 - *red));
}
"""
BLOCK = (32, 8, 1)


def overlay(device: GpuDevice, ops: Ops, teacher: Engine, picture: U8, function: Callable[..., None]) -> U8:
    """The letterboxed picture (height, width, 3) BGR, the redder the likelier there is somebody.

    `function`: pycuda's of the kernel, or whatever is called like it.
    """
    execution, cuda_stream = teacher.prepare(1), device.cuda_stream()
    image, heatmap = execution.inputs[IMAGE], execution.outputs[HEATMAP]
    height, width = image.shape[2:]
    ops.letterbox([picture], [Letterbox(picture.shape[1], picture.shape[0], width, height)], image, cuda_stream)
    execution.run(1, cuda_stream)
    cuda_stream.synchronize()  # pycuda's default queue has no order with it
    lies_at = [np.uintp(array.__cuda_array_interface__["data"][0]) for array in (image, heatmap)]
    numbers = [np.int32(number) for number in (width, height, STRIDE)]
    function(*lies_at, *numbers, block=BLOCK, grid=(-(-width // BLOCK[0]), -(-height // BLOCK[1])))
    planes = device.host_empty(image.shape, np.uint8)
    device.copy(image, planes, cuda_stream)
    cuda_stream.synchronize()
    return np.ascontiguousarray(planes[0, ::-1].transpose(1, 2, 0))


def main(film: str, out: str) -> int:
    """Draw the film's first picture."""
    import pycuda.driver  # type: ignore[import-not-found]  # it has no wheels, so nobody who checks types has it
    from pycuda.compiler import SourceModule  # type: ignore[import-not-found]

    backend = open_backend(size=INPUT_SIZE, device="cuda", mode="teacher")
    device = cast(GpuDevice, backend.device)
    frame = next(iter(open_source(film)))
    pycuda.driver.init()
    context = pycuda.driver.Device(device.index).retain_primary_context()
    context.push()
    try:
        function = SourceModule(KERNEL, no_extern_c=True).get_function("overlay")

        def in_order(*arguments: Any, **shape: Any) -> None:
            function(*arguments, **shape)
            context.synchronize()

        cv2.imwrite(out, overlay(device, backend.ops, cast(Engine, backend.teacher), frame.image, in_order))
    finally:
        context.pop()
    print(Path(out).resolve())
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
