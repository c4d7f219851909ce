"""A user's own kernel on the pipeline's arrays: its code compiles, and it gets what it needs, where it is."""

import ctypes
from typing import Any

import numpy as np

from edge.ops.cuda_ops import CudaOps
from edge.ops.host import HostOps
from edge.ops.letterbox import Letterbox
from engines.host import HostStream
from engines.nvrtc import compile_program
from engines.signature import HEATMAP, STRIDE, Signature
from examples.pycuda_overlay import KERNEL, overlay
from tests.edge.pipeline.test_pipeline_cuda import AddressedEngine
from tests.support.day import SIGNATURES
from tests.support.host_driver import stand_in_gpu

TEACHER: Signature = SIGNATURES["teacher"]


def test_the_kernel_compiles() -> None:
    assert b"overlay" in compile_program(KERNEL, "overlay.cu", "90")[0]


def memory(address: np.uintp, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer((ctypes.c_char * size).from_address(int(address)), dtype).reshape(shape)


def test_it_gets_the_pictures_and_the_heatmaps_own_memory_and_the_device_sees_what_it_did() -> None:
    height, width = TEACHER.height, TEACHER.width

    def see(inputs: dict[str, np.ndarray], outputs: dict[str, np.ndarray]) -> None:
        outputs[HEATMAP][0, 1, 2] = 1.0

    def by_hand(image: np.uintp, heatmap: np.uintp, w: Any, h: Any, stride: Any, *, block: Any, grid: Any) -> None:
        assert (w, h, stride) == (width, height, STRIDE)
        assert block[0] * grid[0] >= width and block[1] * grid[1] >= height
        likely = memory(heatmap, TEACHER.cells, np.float32).repeat(STRIDE, 0).repeat(STRIDE, 1)
        red = memory(image, (3, height, width), np.uint8)[0]
        red[:] = red + (likely * (255 - red)).astype(np.uint8)

    device = stand_in_gpu()
    picture = np.random.default_rng(0).integers(0, 200, (height // 2, width, 3)).astype(np.uint8)
    ops = CudaOps(device, b"\x7fELF kernels")
    drawn = overlay(device, ops, AddressedEngine(TEACHER, see, device), picture, by_hand)
    plain = np.empty((1, 3, height, width), np.uint8)
    HostOps().letterbox([picture], [Letterbox(width, height // 2, width, height)], plain, HostStream())
    expected = plain[0, ::-1].transpose(1, 2, 0).copy()
    expected[STRIDE : 2 * STRIDE, 2 * STRIDE : 3 * STRIDE, 2] = 255
    assert np.array_equal(drawn, expected)
