"""The CUDA device against a driver that lives on the host: every call is made, memory has bounds."""

import gc
import subprocess
import sys
from ctypes.util import find_library
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from cuda.core.utils import StridedMemoryView

from engines.cuda_device import CudaArray, CudaDevice
from engines.errors import DeviceError, DeviceLostError
from engines.staging import StagingRing
from tests.support.host_driver import failing, stand_in_gpu, statistic

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def device() -> CudaDevice:
    return stand_in_gpu()


OPEN = """
import sys
{before}
import engines.cuda_device
assert "cuda" not in sys.modules, "imported by whoever never asks for a GPU"
from engines.errors import EngineError
try:
    engines.cuda_device.CudaDevice()
except EngineError as error:
    print(error)
"""


HIDE = """
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name == "cuda" or name.startswith("cuda."):
            raise ImportError("No module named 'cuda'")
sys.meta_path.insert(0, Hidden())
"""


def opened(before: str = "") -> str:
    program = [sys.executable, "-c", OPEN.format(before=before)]
    return subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_without_a_driver_the_device_says_so_and_the_module_can_be_imported() -> None:
    if find_library("cuda"):
        pytest.skip("this machine has a CUDA driver")
    said = opened()
    assert said.startswith("no CUDA driver on this machine, or too old a one (")
    assert "use the device 'cpu'" in said and "Error" not in said


def test_without_the_bindings_the_device_says_how_they_are_installed() -> None:
    said = opened(HIDE)
    assert said.startswith("CUDA's bindings are not installed (") and "pip install '.[gpu]'" in said


def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(DeviceError, match="no GPU 3: the CUDA driver sees 1"):
        stand_in_gpu(index=3)


def test_a_driver_without_a_gpu_says_so(device: CudaDevice) -> None:
    with pytest.raises(
        DeviceError, match=r"sees a GPU \(cuInit failed.*\(100\).*--gpus all\), or use the device 'cpu'"
    ):
        CudaDevice()


def test_a_driver_that_lacks_a_function_is_refused_as_too_old(device: CudaDevice) -> None:
    with pytest.raises(DeviceError, match=r"too old a one \(function cuCtxDetach is not found\)"):
        device._cuda(device._cuda.driver.cuCtxDetach, 0)


def test_it_says_what_it_is(device: CudaDevice) -> None:
    assert (device.name, device.kind, device.asynchronous) == ("host driver", "cuda", True)
    assert (device.compute_capability, device.driver_version, device.index) == ((9, 0), 13000, 0)


def test_nothing_can_be_copied_there_and_back(device: CudaDevice) -> None:
    queue, empty = device.cuda_stream(), device.empty((0, 3), np.float32)
    device.copy(np.zeros((0, 3), np.float32), empty, queue)
    assert (empty.nbytes, empty[:0].shape) == (0, (0, 3))


def test_rows_go_where_they_belong(device: CudaDevice) -> None:
    queue, rows = device.cuda_stream(), device.empty((4, 2, 3), np.float32)
    values = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
    device.copy(values[:3], rows[:3], queue)
    device.copy(values[3], rows[-1], queue)
    back, event = device.host_empty((2, 2, 3), np.float32), queue.record()
    other = device.cuda_stream()
    other.wait(event)
    device.copy(rows[1:3], back, other)
    event.synchronize()
    other.synchronize()
    assert np.array_equal(back, values[1:3])
    row = device.host_empty((3,), np.float32)
    device.copy(rows[3][1], row, queue)
    assert np.array_equal(row, values[3, 1])


def test_misuse_is_refused(device: CudaDevice) -> None:
    queue, rows = device.cuda_stream(), device.empty((4, 2), np.float32)
    with pytest.raises(ValueError, match=r"cannot copy \(3, 2\) float32 to \(4, 2\) float32"):
        device.copy(np.zeros((3, 2), np.float32), rows, queue)
    with pytest.raises(ValueError, match="float64 to"):
        device.copy(np.zeros((4, 2)), rows, queue)
    with pytest.raises(ValueError, match="must be C-ordered"):
        device.copy(np.zeros((2, 4), np.float32).T, rows, queue)
    with pytest.raises(ValueError, match="neighbouring rows only"):
        rows[::2]
    for row in (4, -5):
        with pytest.raises(IndexError):
            rows[row]
    beyond = CudaArray(rows.pointer, (5, 2), rows.dtype, rows)
    with pytest.raises(DeviceError, match=r"cuMemcpyAsync failed: invalid argument \(1\)"):
        device.copy(beyond, np.zeros((5, 2), np.float32), queue)
    with pytest.raises(DeviceError, match="get_kernel failed"):
        device.kernels(b"\x7fELF image", ["nothing"])


def test_memory_lives_as_long_as_its_last_view_and_no_longer(device: CudaDevice) -> None:
    gc.collect()
    blocks, live = statistic("blocks"), statistic("live")
    queue = device.cuda_stream()
    rows, host = device.empty((4, 2), np.float32)[1:], device.host_empty((3, 2), np.float32)
    device.copy(rows[:2], host[1:], queue)
    view = host[2:]
    del host
    gc.collect()
    assert statistic("blocks") == blocks + 2
    view += 1
    del rows, queue, view
    gc.collect()
    assert (statistic("blocks"), statistic("live")) == (blocks, live)


def test_memory_that_is_not_there_is_refused_with_what_to_do(device: CudaDevice) -> None:
    with pytest.raises(DeviceError, match=r"cuMemAlloc failed: .*\(2\); the GPU's memory is full: take fewer lanes"):
        device.empty((1 << 41,), np.uint8)
    with pytest.raises(DeviceError, match=r"cuMemHostAlloc failed: .*\(2\)"):
        device.host_empty((1 << 41,), np.uint8)


def test_kernels_newer_than_the_driver_are_refused_with_what_to_do(device: CudaDevice) -> None:
    with pytest.raises(DeviceError, match=r"than sm_90.* speaks CUDA 13\.0; update the driver, or .*build --again"):
        device.kernels(b"too new", ["own"])


@pytest.mark.parametrize("status", [700, 709, 710, 719])
def test_a_gpu_that_is_lost_is_told_apart_from_a_call_that_is_refused(device: CudaDevice, status: int) -> None:
    queue, rows = device.cuda_stream(), device.empty((2,), np.int32)
    with failing(status, for_good=False):  # whatever else the context may still answer
        with pytest.raises(DeviceLostError, match=rf"\({status}\); this process cannot use the GPU any more: start it"):
            device.copy(np.zeros(2, np.int32), rows, queue)
        with pytest.raises(DeviceLostError):
            queue.synchronize()
    device.copy(np.zeros(2, np.int32), rows, queue)


@pytest.mark.parametrize("status", [46, 304, 999])
def test_after_an_error_that_may_mean_anything_the_context_decides_whether_it_is_lost(
    device: CudaDevice, status: int
) -> None:
    queue, rows = device.cuda_stream(), device.empty((2,), np.int32)
    with failing(status, for_good=True), pytest.raises(DeviceLostError, match=rf"\({status}\); this process cannot"):
        device.copy(np.zeros(2, np.int32), rows, queue)
    with failing(status, for_good=False), pytest.raises(DeviceError, match=rf"\({status}\)") as refused:
        queue.synchronize()
    assert not isinstance(refused.value, DeviceLostError)


def test_a_thread_that_did_not_make_the_device_can_use_it(device: CudaDevice) -> None:
    rows, errors = device.empty((2,), np.int32), list[Exception]()

    def work() -> None:
        try:
            queue = device.cuda_stream()
            device.copy(np.ones(2, np.int32), rows, queue)
            queue.record().synchronize()
        except Exception as error:
            errors.append(error)

    thread = Thread(target=work)
    thread.start()
    thread.join()
    assert errors == []


def test_captured_work_runs_when_it_is_launched_and_as_often(device: CudaDevice) -> None:
    queue, rows, back = device.cuda_stream(), device.empty((2,), np.int32), device.host_empty((2,), np.int32)
    values = np.array([1, 2], np.int32)
    back[:] = 0

    def work() -> None:
        device.copy(values, rows, queue)
        device.copy(rows, back, queue)

    graph = device.capture(work, queue)
    assert back.tolist() == [0, 0]
    for _ in range(2):
        values += 10
        graph.launch(queue)
        assert np.array_equal(back, values)


def test_an_error_while_capturing_leaves_the_queue_usable(device: CudaDevice) -> None:
    queue, rows = device.cuda_stream(), device.empty((2,), np.int32)

    def work() -> None:
        raise RuntimeError("the network broke")

    with pytest.raises(RuntimeError, match="the network broke"):
        device.capture(work, queue)
    back = np.zeros(2, np.int32)
    device.copy(np.ones(2, np.int32), rows, queue)
    device.copy(rows, back, queue)
    assert back.tolist() == [1, 1]


def test_others_may_use_the_memory_by_both_interfaces(device: CudaDevice) -> None:
    rows = device.empty((4, 2, 3), np.float32)
    told = rows[1:].__cuda_array_interface__
    assert (told["shape"], told["typestr"], told["version"]) == ((3, 2, 3), "<f4", 3)
    assert told["data"] == (rows.pointer + 24, False) and told["strides"] is None
    assert device.empty((0, 3), np.float32).__cuda_array_interface__["data"][0] == 0
    assert rows.__dlpack_device__() == (2, 0), "CUDA, the first one"
    seen = StridedMemoryView.from_dlpack(rows[1:], stream_ptr=-1)
    assert (seen.shape, seen.dtype, seen.ptr, seen.is_device_accessible) == (
        (3, 2, 3),
        np.float32,
        rows[1].pointer,
        True,
    )


# --- the staging ring


class LateQueue:
    """A cuda_stream that counts whom the host waited for."""

    handle = 7

    def __init__(self) -> None:
        self.recorded = 0
        self.awaited: list[int] = []
        self.emptied = 0

    def record(self) -> "LateEvent":
        self.recorded += 1
        return LateEvent(self, self.recorded)

    def synchronize(self) -> None:
        self.emptied += 1


class LateEvent:
    def __init__(self, queue: LateQueue, number: int) -> None:
        self.queue, self.number = queue, number

    reached = False

    def synchronize(self) -> None:
        self.queue.awaited.append(self.number)


def test_an_event_says_whether_it_was_reached_and_waits_for_nothing(device: CudaDevice) -> None:
    event = device.cuda_stream().record()
    assert event.reached
    with failing(600, for_good=False):
        assert not event.reached
    with failing(1, for_good=False), pytest.raises(DeviceError, match=r"invalid argument|INVALID|\(1\)"):
        _ = event.reached


def test_a_ring_sends_what_was_put_into_it(device: CudaDevice) -> None:
    queue = device.cuda_stream()
    ring = StagingRing(device, queue, 1024)
    picture = np.arange(24, dtype=np.uint8).reshape(4, 6)[::2, 1:]
    for turn in range(9):
        ring.reserve(300)
        address = ring.put(256, picture + np.uint8(turn))
        ring.send()
        there = CudaArray(address, picture.shape, picture.dtype, None)
        back = np.zeros(picture.shape, np.uint8)
        device.copy(there, back, queue)
        assert np.array_equal(back, picture + turn)


def test_a_ring_waits_only_for_the_block_that_it_uses_again(device: CudaDevice) -> None:
    queue = LateQueue()
    real = device.cuda_stream()
    device.copy = lambda source, out, _: CudaDevice.copy(device, source, out, real)  # type: ignore[method-assign, assignment]
    ring = StagingRing(device, queue, 1024)  # four blocks of 256
    for expected in ([], [], [], [], [1], [1, 2]):
        ring.reserve(200)
        assert queue.awaited == expected
        ring.send()
    ring.reserve(512)  # two blocks at once: the third and the fourth
    assert queue.awaited == [1, 2, 3, 4]
    ring.send()
    ring.reserve(512)
    assert queue.awaited == [1, 2, 3, 4, 5, 6]
    assert queue.emptied == 0


def test_a_ring_grows_once_and_waits_for_everything_before(device: CudaDevice) -> None:
    queue = device.cuda_stream()
    ring = StagingRing(device, queue, 1024)
    allocated = statistic("allocations")
    for _ in range(5):
        ring.reserve(5000)
        ring.send()
    assert statistic("allocations") == allocated + 2
