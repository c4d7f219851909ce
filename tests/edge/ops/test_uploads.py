"""Pictures that are sent to the device by the threads that read them."""

import gc
from threading import Thread

import numpy as np
import pytest

from edge.arrays import U8
from edge.ops.cuda_ops import CudaOps
from edge.ops.host import HostOps
from edge.ops.letterbox import Letterbox
from edge.ops.pixels import BT709, Nv12, Pixels, Uploaded, as_bgr, size_of
from engines.cuda_device import CudaDevice
from engines.host import HostStream
from tests.support.host_driver import stand_in_gpu, statistic


@pytest.fixture
def device() -> CudaDevice:
    return stand_in_gpu()


def noise(seed: int, *shape: int) -> U8:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def test_on_the_host_a_picture_is_there_already() -> None:
    picture = noise(0, 6, 8, 3)
    assert HostOps().upload(picture) is picture


def test_an_uploaded_picture_is_the_same_for_everybody(device: CudaDevice) -> None:
    ops, queue = CudaOps(device, b"\x7fELF kernels"), device.cuda_stream()
    pictures: list[Pixels] = [noise(1, 46, 90, 3), noise(2, 69, 90), Nv12(noise(3, 69, 90), BT709)]
    uploaded = [ops.upload(one) for one in pictures]
    for before, after in zip(pictures, uploaded, strict=True):
        assert isinstance(after, Uploaded) and size_of(after) == size_of(before) == (90, 46)
        assert np.array_equal(as_bgr(after), as_bgr(before)) and ops.upload(after) is after
    out, box = device.empty((3, 3, 32, 64), np.uint8), Letterbox(90, 46, 64, 32)
    ops.letterbox(uploaded, [box] * 3, out, queue)
    back, expected = device.host_empty(out.shape, np.uint8), np.empty(out.shape, np.uint8)
    device.copy(out, back, queue)
    HostOps().letterbox(pictures, [box] * 3, expected, HostStream())
    assert np.array_equal(back, expected)


def test_the_device_thread_copies_no_pixel_of_them(device: CudaDevice) -> None:
    ops, queue, box = CudaOps(device, b"\x7fELF kernels"), device.cuda_stream(), Letterbox(90, 46, 64, 32)
    out, uploaded = device.empty((1, 3, 32, 64), np.uint8), ops.upload(noise(4, 46, 90, 3))
    ops.letterbox([uploaded], [box], out, queue)  # the tables of this size go once
    before = statistic("copied")
    ops.letterbox([uploaded], [box], out, queue)
    assert statistic("copied") - before <= 256, "one row of the kernel's table"


def test_memory_is_used_again_only_when_nobody_looks_at_the_picture_any_more(device: CudaDevice) -> None:
    ops = CudaOps(device, b"\x7fELF kernels")
    first = ops.upload(noise(5, 46, 90, 3))
    image, there = as_bgr(first), first.there.pointer
    kept = image.copy()
    del first
    gc.collect()
    second = ops.upload(noise(6, 46, 90, 3))
    assert second.there.pointer != there and np.array_equal(image, kept), "somebody still has a view of it"
    del image
    gc.collect()
    allocated = statistic("allocations")
    third = ops.upload(noise(7, 46, 90, 3))
    assert third.there.pointer == there and statistic("allocations") == allocated


def test_many_threads_may_send_at_a_time(device: CudaDevice) -> None:
    ops, wrong = CudaOps(device, b"\x7fELF kernels"), list[int]()

    def read(seed: int) -> None:
        for number in range(20):
            picture = noise(100 * seed + number, 20, 30, 3)
            if not np.array_equal(as_bgr(ops.upload(picture)), picture):
                wrong.append(seed)

    threads = [Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
