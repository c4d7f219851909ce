"""A CUDA GPU as a device: memory, page-locked memory, queues, events, captured graphs and kernels.

The only file that speaks to CUDA. It calls the driver's C interface (`libcuda.so.1`, part of every driver) by ctypes:
31 functions whose form has not changed since CUDA 11.4. pycuda makes the same calls, but has to be compiled on each
machine for each Python and cannot even be imported without a driver; cuda-bindings are wheels, but one per CUDA version
and under NVIDIA's licence. This way nothing needs to be installed, and CI runs every line, against a library that keeps
the driver's contract on the host (tests/support/host_driver.cpp).

Importing this module touches no driver; `CudaDevice()` does. The context is the device's primary one, which TensorRT
and ONNX Runtime use, too.
"""

import ctypes
import math
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from engines.device import CudaStream, Event
from engines.errors import DeviceError, DeviceLostError

_PAGE_LOCKED_EVERYWHERE = 1  # CU_MEMHOSTALLOC_PORTABLE
_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: no hidden order with the default queue
_NO_TIMING = 2  # CU_EVENT_DISABLE_TIMING
_SLEEP_WHILE_WAITING = 4  # CU_CTX_SCHED_BLOCKING_SYNC
_CAPTURE_THIS_THREAD = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: other threads may allocate meanwhile
_CC_MAJOR, _CC_MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*
_OUT_OF_MEMORY = 2
_NOT_READY = 600
_LOST = frozenset({214, 700, 702, 714, 715, 716, 717, 718, 719})
"""Memory that cannot be corrected, illegal addresses and instructions, a kernel without end: each ends the context."""
_WRONG_CODE = frozenset({200, 209, 218, 222})
"""Code that this driver cannot read, or that is for other GPUs."""
_REMEDIES = {
    _OUT_OF_MEMORY: "the GPU's memory is full: take fewer lanes or a smaller input, or end other programs on it",
    100: "the driver sees no GPU; in a container, start it with --gpus all",
    803: "the driver's library and its kernel module differ in version: restart the machine after an update",
    804: "the CUDA libraries here want a newer driver: update it",
}


class Address(Protocol):
    """What a kernel takes as a pointer."""

    @property
    def pointer(self) -> int:
        """On the device."""
        ...


class _Driver:
    """The C interface; a call that fails is a DeviceError with the driver's own words."""

    def __init__(self, library: str) -> None:
        try:
            self._functions = ctypes.CDLL(library)
            self.context = ctypes.c_void_p()
        except OSError as error:
            raise DeviceError(
                f"no CUDA driver on this machine ({error}); install NVIDIA's, or use the device 'cpu'"
            ) from None

    def __call__(self, name: str, *arguments: Any) -> None:
        try:
            function = getattr(self._functions, name)  # looked up once, then kept
        except AttributeError:
            raise DeviceError(f"this CUDA driver has no {name}, so it is older than CUDA 11.4; update it") from None
        status = function(*arguments)
        if status:
            text = ctypes.c_char_p()
            self._functions.cuGetErrorString(status, ctypes.byref(text))
            said = f"{name} failed: {(text.value or b'unknown error').decode()} ({status})"
            if status in _LOST:
                raise DeviceLostError(f"{said}; this process cannot use the GPU any more: start it again")
            remedy = _REMEDIES.get(status)
            raise DeviceError(f"{said}; {remedy}" if remedy else said, status)

    def use(self, context: ctypes.c_void_p) -> None:
        """Let the calling thread use `context`."""
        self.context = context
        self("cuCtxSetCurrent", context)

    def free_with(self, owner: object, name: str, handle: object) -> None:
        """Call the function `name` for `handle` once `owner` is gone, on whatever thread that happens."""
        weakref.finalize(owner, self._free, name, handle).atexit = False

    def _free(self, name: str, handle: object) -> None:
        self._functions.cuCtxSetCurrent(self.context)
        self._functions[name](handle)


class CudaEvent:
    """A point in the order of a queue."""

    def __init__(self, driver: _Driver) -> None:
        self._driver = driver
        self.handle = ctypes.c_void_p()
        driver("cuEventCreate", ctypes.byref(self.handle), _NO_TIMING)
        driver.free_with(self, "cuEventDestroy_v2", self.handle)

    def synchronize(self) -> None:
        """See `Event.synchronize`."""
        self._driver("cuEventSynchronize", self.handle)

    @property
    def reached(self) -> bool:
        """See `Event.reached`."""
        try:
            self._driver("cuEventQuery", self.handle)
        except DeviceError as error:
            if error.status != _NOT_READY:
                raise
            return False
        return True


class CudaQueue:
    """A cuda_stream."""

    def __init__(self, driver: _Driver) -> None:
        self._driver = driver
        queue = ctypes.c_void_p()
        driver("cuStreamCreate", ctypes.byref(queue), _NON_BLOCKING)
        self.handle = queue.value or 0
        driver.free_with(self, "cuStreamDestroy_v2", queue)

    def record(self) -> CudaEvent:
        """See `CudaStream.record`."""
        event = CudaEvent(self._driver)
        self._driver("cuEventRecord", event.handle, ctypes.c_void_p(self.handle))
        return event

    def wait(self, event: Event) -> None:
        """See `CudaStream.wait`."""
        assert isinstance(event, CudaEvent)  # noqa: S101  (events of another device have no business here)
        self._driver("cuStreamWaitEvent", ctypes.c_void_p(self.handle), event.handle, 0)

    def synchronize(self) -> None:
        """See `CudaStream.synchronize`."""
        self._driver("cuStreamSynchronize", ctypes.c_void_p(self.handle))


class CudaArray:
    """C-ordered memory on the device, or whole rows of it. Lives as long as any view of it."""

    def __init__(self, pointer: int, shape: tuple[int, ...], dtype: np.dtype[Any], owner: object) -> None:
        self.pointer, self.shape, self.dtype, self._owner = pointer, shape, dtype, owner

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __getitem__(self, key: int | slice) -> "CudaArray":
        """See `GpuArray.__getitem__`. Raises IndexError outside, ValueError for slices with steps."""
        rows = self.shape[0]
        row_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        if isinstance(key, slice):
            start, stop, step = key.indices(rows)
            if step != 1:
                raise ValueError("a device array can be cut into whole, neighbouring rows only")
            return CudaArray(
                self.pointer + start * row_bytes, (max(0, stop - start), *self.shape[1:]), self.dtype, self
            )
        if not -rows <= key < rows:
            raise IndexError(f"row {key} of {rows}")
        return CudaArray(self.pointer + key % rows * row_bytes, self.shape[1:], self.dtype, self)


class CudaGraph:
    """Captured work."""

    def __init__(self, driver: _Driver, graph: ctypes.c_void_p) -> None:
        self._driver = driver
        self._runnable = ctypes.c_void_p()
        driver("cuGraphInstantiateWithFlags", ctypes.byref(self._runnable), graph, ctypes.c_ulonglong(0))
        driver.free_with(self, "cuGraphExecDestroy", self._runnable)

    def launch(self, cuda_stream: CudaStream) -> None:
        """See `Graph.launch`."""
        self._driver("cuGraphLaunch", self._runnable, ctypes.c_void_p(cuda_stream.handle))


class CudaKernel:
    """A function that runs on the device."""

    def __init__(self, driver: _Driver, module: ctypes.c_void_p, name: str) -> None:
        self._driver = driver
        self._function = ctypes.c_void_p()
        driver("cuModuleGetFunction", ctypes.byref(self._function), module, name.encode())

    def launch(
        self,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Sequence[Address | int],
        cuda_stream: CudaStream,
    ) -> None:
        """Enqueue. Arguments as the kernel has them: device memory (anything with a `pointer`) and 32 bit integers."""
        values = [ctypes.c_int(a) if isinstance(a, int) else ctypes.c_void_p(a.pointer) for a in arguments]
        addresses = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
        self._driver(
            "cuLaunchKernel", self._function, *grid, *block, 0, ctypes.c_void_p(cuda_stream.handle), addresses, None
        )


class CudaDevice:
    """One GPU; see `engines.device.GpuDevice`."""

    kind: Literal["cuda"] = "cuda"
    asynchronous = True

    def __init__(self, index: int = 0, library: str = "libcuda.so.1", sleeping: bool = False) -> None:
        """`library`: the driver. `sleeping`: a thread that waits for the GPU sleeps instead of spinning.

        FFmpeg shares the context of such a device only; it holds for the whole process, so the first device decides.
        Raises DeviceError without a driver or a GPU with this index.
        """
        self.index = index
        self._driver = _Driver(library)
        self._driver("cuInit", 0)
        count, device, version = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
        self._driver("cuDeviceGetCount", ctypes.byref(count))
        if not 0 <= index < count.value:
            raise DeviceError(
                f"no GPU {index}: the CUDA driver sees {count.value}; use the device 'cpu' or mend CUDA_VISIBLE_DEVICES"
            )
        self._driver("cuDeviceGet", ctypes.byref(device), index)
        self._driver("cuDriverGetVersion", ctypes.byref(version))
        self.driver_version = version.value
        name = ctypes.create_string_buffer(128)
        self._driver("cuDeviceGetName", name, len(name), device)
        self.name = name.value.decode()
        self.compute_capability = (self._attribute(_CC_MAJOR, device), self._attribute(_CC_MINOR, device))
        self._context = ctypes.c_void_p()
        if sleeping:
            self._driver("cuDevicePrimaryCtxSetFlags_v2", device, _SLEEP_WHILE_WAITING)
        self._driver("cuDevicePrimaryCtxRetain", ctypes.byref(self._context), device)
        self.make_current()

    def make_current(self) -> None:
        """Let the calling thread use this device; the thread that made it need not."""
        self._driver.use(self._context)

    def cuda_stream(self) -> CudaQueue:
        """See `Device.cuda_stream`."""
        self.make_current()
        return CudaQueue(self._driver)

    def empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> CudaArray:
        """See `Device.empty`."""
        self.make_current()
        wanted = np.dtype(dtype)
        pointer = ctypes.c_uint64()
        self._driver(
            "cuMemAlloc_v2", ctypes.byref(pointer), ctypes.c_size_t(max(1, math.prod(shape) * wanted.itemsize))
        )
        array = CudaArray(pointer.value, shape, wanted, None)
        self._driver.free_with(array, "cuMemFree_v2", pointer)
        return array

    def borrow(self, pointer: int, shape: tuple[int, ...], dtype: npt.DTypeLike, owner: object) -> CudaArray:
        """Memory of this device that `owner`, which the array keeps alive, frees."""
        return CudaArray(pointer, shape, np.dtype(dtype), owner)

    def record_default(self) -> CudaEvent:
        """Mark the present end of CUDA's default queue, on which libraries work that were given none."""
        event = CudaEvent(self._driver)
        self._driver("cuEventRecord", event.handle, ctypes.c_void_p())
        return event

    def host_empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """See `Device.host_empty`."""
        self.make_current()
        wanted = np.dtype(dtype)
        nbytes = max(1, math.prod(shape) * wanted.itemsize)
        pointer = ctypes.c_void_p()
        self._driver("cuMemHostAlloc", ctypes.byref(pointer), ctypes.c_size_t(nbytes), _PAGE_LOCKED_EVERYWHERE)
        memory = (ctypes.c_uint8 * nbytes).from_address(pointer.value or 0)
        self._driver.free_with(memory, "cuMemFreeHost", pointer)
        return np.ndarray(shape, wanted, memoryview(memory))

    def copy(
        self, source: CudaArray | npt.NDArray[Any], out: CudaArray | npt.NDArray[Any], cuda_stream: CudaStream
    ) -> None:
        """See `Device.copy`. Raises ValueError for arrays that do not fit or lie scattered in memory."""
        if (source.shape, source.dtype) != (out.shape, out.dtype):
            raise ValueError(f"cannot copy {source.shape} {source.dtype} to {out.shape} {out.dtype}")
        if not source.nbytes:
            return  # an empty array behind the last byte of its memory has an address that is nobody's
        self._driver(
            "cuMemcpyAsync",
            ctypes.c_uint64(_address(out)),
            ctypes.c_uint64(_address(source)),
            ctypes.c_size_t(source.nbytes),
            ctypes.c_void_p(cuda_stream.handle),
        )

    def capture(self, work: Callable[[], None], cuda_stream: CudaStream) -> CudaGraph:
        """See `GpuDevice.capture`. Raises DeviceError where `work` does what cannot be captured, or fails itself."""
        queue, graph = ctypes.c_void_p(cuda_stream.handle), ctypes.c_void_p()
        self._driver("cuStreamBeginCapture_v2", queue, _CAPTURE_THIS_THREAD)
        try:
            try:
                work()
            finally:  # also after an error: the queue must not stay in this state
                self._driver("cuStreamEndCapture", queue, ctypes.byref(graph))
            return CudaGraph(self._driver, graph)
        finally:
            if graph:
                self._driver("cuGraphDestroy", graph)

    def kernels(self, image: bytes, names: Sequence[str]) -> dict[str, CudaKernel]:
        """Load a fat binary (or PTX); its functions stay loaded for the device's life.

        Raises DeviceError where it is not for this GPU or newer than this driver.
        """
        self.make_current()
        module = ctypes.c_void_p()
        try:
            self._driver("cuModuleLoadData", ctypes.byref(module), image)
            return {name: CudaKernel(self._driver, module, name) for name in names}
        except DeviceError as error:
            if error.status not in _WRONG_CODE:
                raise
            major, minor = self.compute_capability
            version = f"{self.driver_version // 1000}.{self.driver_version % 1000 // 10}"
            raise DeviceError(
                f"{error}: the kernels were compiled for other GPUs than sm_{major}{minor}, or by a newer compiler "
                f"than this driver, which speaks CUDA {version}; update the driver, or compile with that CUDA's nvcc: "
                "NVCC=/usr/local/cuda/bin/nvcc python -m edge.ops.kernels.build --again"
            ) from error

    def _attribute(self, which: int, device: ctypes.c_int) -> int:
        value = ctypes.c_int()
        self._driver("cuDeviceGetAttribute", ctypes.byref(value), which, device)
        return value.value


def _address(array: CudaArray | npt.NDArray[Any]) -> int:
    if isinstance(array, CudaArray):
        return array.pointer
    if not array.flags.c_contiguous:
        raise ValueError("an array of the host must be C-ordered to be copied to or from a device")
    return array.ctypes.data
