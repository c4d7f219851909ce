"""A CUDA GPU as a device: memory, page-locked memory, queues, events, captured graphs and kernels.

The only file that speaks to CUDA. It does so through NVIDIA's own bindings, `cuda-core` and `cuda-bindings`: wheels for
x86-64 and Arm, Apache-2.0, which import without a driver. `CudaDevice()` imports them; this module alone does not. CI
runs every line against a library that keeps the driver's contract on the host (tests/support/host_driver.cpp).

The context is the device's primary one, which TensorRT, ONNX Runtime, pycuda and torch use, too; arrays speak
`__cuda_array_interface__` and DLPack.
"""

import ctypes
import math
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from engines.device import CudaStream, Event
from engines.errors import DeviceError, DeviceLostError

_PAGE_LOCKED_EVERYWHERE = 1  # CU_MEMHOSTALLOC_PORTABLE
_SLEEP_WHILE_WAITING = 4  # CU_CTX_SCHED_BLOCKING_SYNC
_CAPTURE_THIS_THREAD = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: other threads may allocate meanwhile
_OUT_OF_MEMORY, _NO_DEVICE = 2, 100
_LOST = frozenset({214, 220, 226, 700, 702, 709, 710, *range(713, 722)})
"""Memory that cannot be corrected, illegal addresses and instructions, a kernel without end: each ends the context."""
_WRONG_CODE = frozenset({200, 209, 218, 222})
"""Code that this driver cannot read, or that is for other GPUs."""
_REMEDIES = {
    _OUT_OF_MEMORY: "the GPU's memory is full: take fewer lanes or a smaller input, or end other programs on it",
    _NO_DEVICE: "in a container, start it with --gpus all",
    803: "the driver's library and its kernel module differ in version: restart the machine after an update",
    804: "the CUDA libraries here want a newer driver: update it",
}


class DevicePointer(Protocol):
    """What a kernel takes as a pointer."""

    @property
    def pointer(self) -> int:
        """On the device."""
        ...


class _Cuda:
    """NVIDIA's bindings; a call that fails is a DeviceError with the driver's own words."""

    def __init__(self) -> None:
        try:
            from cuda import core
            from cuda.bindings import driver
        except ImportError as error:
            raise DeviceError(
                f"CUDA's bindings are not installed ({error}); pip install '.[gpu]', or use the device 'cpu'"
            ) from None
        self.core: Any = core
        self.driver: Any = driver
        self.gone: Callable[[], bool] = lambda: False
        """Whether the context answers no more; while there is none, nothing is gone."""

    def __call__(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """What `call`, one of either library's, returns."""
        try:
            status, *found = self._called(call, *arguments, **options)
        except Exception as error:  # what cuda.core raises has no public name, but the driver's status in its words
            name, _, text = str(error).partition(": ")
            known = getattr(self.driver.CUresult, name, None) if name.isidentifier() else None
            if known is None and not isinstance(error, RuntimeError):
                raise
            if known is None:  # no library, or one without this function
                raise DeviceError(
                    f"no CUDA driver on this machine, or too old a one ({_first_line(error)}); install NVIDIA's, or "
                    "use the device 'cpu'"
                ) from None
            raise self._refused(call, int(known), text) from None
        if status:
            raise self._refused(call, int(status), self.driver.cuGetErrorString(status)[1].decode())
        return found[0] if found else None

    def _called(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> tuple[Any, ...]:
        """Status and results: the bindings return both, cuda.core raises."""
        found = call(*arguments, **options)
        bound = isinstance(found, tuple) and isinstance(found[0], self.driver.CUresult)
        return found if bound else (0, found)

    def _refused(self, call: Callable[..., Any], status: int, text: str) -> DeviceError:
        said = f"{getattr(call, '__name__', 'CUDA')} failed: {text} ({status})"
        if status in _LOST or self.gone():
            return DeviceLostError(f"{said}; this process cannot use the GPU any more: start it again", status)
        return DeviceError(f"{said}; {_REMEDIES[status]}" if status in _REMEDIES else said, status)


class CudaEvent:
    """A point in the order of a queue."""

    def __init__(self, cuda: _Cuda, queue: Any) -> None:
        self._cuda, self.point = cuda, cuda(queue.record)

    def synchronize(self) -> None:
        """See `Event.synchronize`."""
        self._cuda(self.point.sync)

    @property
    def reached(self) -> bool:
        """See `Event.reached`."""
        return bool(self._cuda(lambda: self.point.is_done))


class CudaQueue:
    """A cuda_stream."""

    def __init__(self, cuda: _Cuda, device: Any) -> None:
        self._cuda = cuda
        self.queue = cuda(device.create_stream)  # without hidden order with the default queue
        self.handle = int(self.queue.handle)

    def record(self) -> CudaEvent:
        """See `CudaStream.record`."""
        return CudaEvent(self._cuda, self.queue)

    def wait(self, event: Event) -> None:
        """See `CudaStream.wait`."""
        assert isinstance(event, CudaEvent)  # noqa: S101  (events of another device have no business here)
        self._cuda(self.queue.wait, event.point)

    def synchronize(self) -> None:
        """See `CudaStream.synchronize`."""
        self._cuda(self.queue.sync)


class CudaArray:
    """C-ordered memory on the device, or whole rows of it. Lives as long as any view of it."""

    def __init__(self, pointer: int, shape: tuple[int, ...], dtype: np.dtype[Any], owner: object) -> None:
        self.pointer, self.shape, self.dtype, self._owner = pointer, shape, dtype, owner

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """Version 3, for pycuda, CuPy, Numba and torch. What is in it is there once its cuda_stream has come so far."""
        data = (self.pointer if self.nbytes else 0, False)
        return {"shape": self.shape, "typestr": self.dtype.str, "data": data, "strides": None, "version": 3}

    def __dlpack__(self, **options: Any) -> Any:
        """The same by DLPack."""
        return self._view().__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        """DLPack's kind and number of the device."""
        kind, number = self._view().__dlpack_device__()
        return int(kind), int(number)

    def _view(self) -> Any:
        from cuda.core.utils import StridedMemoryView

        return StridedMemoryView.from_cuda_array_interface(self, stream_ptr=-1)  # nothing is waited for

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

    def __init__(self, cuda: _Cuda, graph: Any) -> None:
        self._cuda = cuda
        self._runnable = cuda(cuda.driver.cuGraphInstantiate, graph, 0)
        weakref.finalize(self, cuda.driver.cuGraphExecDestroy, self._runnable).atexit = False

    def launch(self, cuda_stream: CudaStream) -> None:
        """See `Graph.launch`."""
        self._cuda(self._cuda.driver.cuGraphLaunch, self._runnable, cuda_stream.handle)


class CudaKernel:
    """A function that runs on the device."""

    def __init__(self, cuda: _Cuda, kernel: Any) -> None:
        self._cuda, self._kernel = cuda, kernel

    def launch(
        self,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Sequence[DevicePointer | int],
        cuda_stream: CudaStream,
    ) -> None:
        """Enqueue. Arguments as the kernel has them: device memory (anything with a `pointer`) and 32 bit integers."""
        assert isinstance(cuda_stream, CudaQueue)  # noqa: S101  (queues of another device have no business here)
        core = self._cuda.core
        values = [np.int32(one) if isinstance(one, int) else one.pointer for one in arguments]
        self._cuda(core.launch, cuda_stream.queue, core.LaunchConfig(grid=grid, block=block), self._kernel, *values)


class CudaDevice:
    """One GPU; see `engines.device.GpuDevice`."""

    kind: Literal["cuda"] = "cuda"
    asynchronous = True

    def __init__(self, index: int = 0, sleeping: bool = False) -> None:
        """`sleeping`: a thread that waits for the GPU sleeps instead of spinning.

        FFmpeg shares the context of such a device only; it holds for the whole process, so the first device decides.
        Raises DeviceError without the bindings, a driver or a GPU with this index.
        """
        self.index = index
        cuda = self._cuda = _Cuda()
        driver = cuda.driver
        try:
            cuda(driver.cuInit, 0)
        except DeviceError as error:
            if error.status != _NO_DEVICE:
                raise
            raise DeviceError(f"no CUDA driver on this machine sees a GPU ({error}), or use the device 'cpu'") from None
        count = cuda(driver.cuDeviceGetCount)
        if not 0 <= index < count:
            raise DeviceError(
                f"no GPU {index}: the CUDA driver sees {count}; use the device 'cpu' or mend CUDA_VISIBLE_DEVICES"
            )
        self.driver_version = int(cuda(driver.cuDriverGetVersion))
        if sleeping:
            cuda(driver.cuDevicePrimaryCtxSetFlags, cuda(driver.cuDeviceGet, index), _SLEEP_WHILE_WAITING)
        self._device = cuda(cuda.core.Device, index)
        self.name = str(self._device.name)
        major, minor = cuda(lambda: [*self._device.compute_capability])
        self.compute_capability = (int(major), int(minor))
        self.make_current()
        cuda.gone = self._gone

    def make_current(self) -> None:
        """Let the calling thread use this device; the thread that made it need not."""
        self._cuda(self._device.set_current)

    def cuda_stream(self) -> CudaQueue:
        """See `Device.cuda_stream`."""
        self.make_current()
        return CudaQueue(self._cuda, self._device)

    def empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> CudaArray:
        """See `Device.empty`."""
        self.make_current()
        wanted, driver = np.dtype(dtype), self._cuda.driver
        pointer = int(self._cuda(driver.cuMemAlloc, max(1, math.prod(shape) * wanted.itemsize)))
        array = CudaArray(pointer, shape, wanted, None)
        self._free_with(array, driver.cuMemFree, pointer)
        return array

    def borrow(self, pointer: int, shape: tuple[int, ...], dtype: npt.DTypeLike, owner: object) -> CudaArray:
        """Memory of this device that `owner`, which the array keeps alive, frees."""
        return CudaArray(pointer, shape, np.dtype(dtype), owner)

    def record_default(self) -> CudaEvent:
        """Mark the present end of CUDA's default queue, on which libraries work that were given none."""
        return CudaEvent(self._cuda, self._cuda.core.LEGACY_DEFAULT_STREAM)

    def host_empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """See `Device.host_empty`."""
        self.make_current()
        wanted, cuda = np.dtype(dtype), self._cuda
        nbytes = max(1, math.prod(shape) * wanted.itemsize)
        pointer = int(cuda(cuda.driver.cuMemHostAlloc, nbytes, _PAGE_LOCKED_EVERYWHERE))
        memory = (ctypes.c_uint8 * nbytes).from_address(pointer)
        self._free_with(memory, cuda.driver.cuMemFreeHost, pointer)
        return np.ndarray(shape, wanted, memoryview(memory))

    def copy(
        self, source: CudaArray | npt.NDArray[Any], out: CudaArray | npt.NDArray[Any], cuda_stream: CudaStream
    ) -> None:
        """See `Device.copy`. Raises ValueError for arrays that do not fit or lie scattered in memory."""
        if (source.shape, source.dtype) != (out.shape, out.dtype):
            raise ValueError(f"cannot copy {source.shape} {source.dtype} to {out.shape} {out.dtype}")
        if source.nbytes:  # an empty array behind the last byte of its memory has an address that is nobody's
            copy, there, here = self._cuda.driver.cuMemcpyAsync, _address(out), _address(source)
            self._cuda(copy, there, here, source.nbytes, cuda_stream.handle)

    def capture(self, work: Callable[[], None], cuda_stream: CudaStream) -> CudaGraph:
        """See `GpuDevice.capture`. Raises DeviceError where `work` does what cannot be captured, or fails itself."""
        cuda, queue = self._cuda, cuda_stream.handle
        cuda(cuda.driver.cuStreamBeginCapture, queue, cuda.driver.CUstreamCaptureMode(_CAPTURE_THIS_THREAD))
        try:
            work()
        finally:  # also after an error: the queue must not stay in this state
            graph = cuda(cuda.driver.cuStreamEndCapture, queue)
        try:
            return CudaGraph(cuda, graph)
        finally:
            cuda(cuda.driver.cuGraphDestroy, graph)

    def kernels(self, image: bytes, names: Sequence[str]) -> dict[str, CudaKernel]:
        """Load a program for this GPU (see edge.ops.kernels.build); its functions stay loaded for the device's life.

        Raises DeviceError where it is not for this GPU or newer than this driver.
        """
        self.make_current()
        code = self._cuda.core.ObjectCode
        try:
            program = self._cuda(code.from_cubin if image.startswith(b"\x7fELF") else code.from_ptx, image)
            return {name: CudaKernel(self._cuda, self._cuda(program.get_kernel, name)) for name in names}
        except DeviceError as error:
            if error.status not in _WRONG_CODE:
                raise
            major, minor = self.compute_capability
            version = f"{self.driver_version // 1000}.{self.driver_version % 1000 // 10}"
            raise DeviceError(
                f"{error}: the kernels were compiled for other GPUs than sm_{major}{minor}, or by a newer compiler "
                f"than this driver, which speaks CUDA {version}; update the driver, or compile with that CUDA's NVRTC: "
                "python -m edge.ops.kernels.build --again"
            ) from error

    def _free_with(self, owner: object, free: Callable[..., object], pointer: int) -> None:
        """Call `free` once `owner` is gone, on whatever thread that happens."""
        weakref.finalize(owner, _free, self._device, partial(free, pointer)).atexit = False

    def _gone(self) -> bool:
        """Whether even the plainest question fails: a context that is lost answers each one with its error."""
        try:
            self._device.set_current()
            return bool(self._cuda.driver.cuMemGetInfo()[0])
        except Exception:  # whatever the bindings raise
            return True


def _free(device: Any, free: Callable[[], object]) -> None:
    device.set_current()
    free()


def _address(array: CudaArray | npt.NDArray[Any]) -> int:
    if isinstance(array, CudaArray):
        return array.pointer
    if not array.flags.c_contiguous:
        raise ValueError("an array of the host must be C-ordered to be copied to or from a device")
    return int(array.ctypes.data)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "").rstrip(".")
