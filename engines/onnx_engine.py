"""ONNX Runtime on the host: a model file and its preallocated buffers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from engines.device import CudaStream
from engines.engine import Buffers
from engines.errors import ModelFileError, SignatureError
from engines.signature import Signature, check_size, open_axes

_ONNX_NAMES = {
    np.dtype(np.uint8): "tensor(uint8)",
    np.dtype(np.int32): "tensor(int32)",
    np.dtype(np.float32): "tensor(float)",
}


Providers: TypeAlias = Sequence[str | tuple[str, Mapping[str, str]]]


class OnnxEngine:
    """A model file in ONNX Runtime's CPU provider.

    Weights may be stored as fp16 behind Cast nodes: the runtime folds such Casts while it loads, so only the file is
    smaller, and the arithmetic is that of fp32.
    """

    def __init__(self, path: Path, threads: int | None = None, size: tuple[int, int] | None = None) -> None:
        """Read and check `path`; `threads` per run, None for one per core; `size`: see `open_session`.

        Raises ModelFileError where the file is missing or unreadable, SignatureError where it breaks the contract.
        """
        self._session, self.signature = open_session(path, ["CPUExecutionProvider"], threads, size)

    def prepare(self, max_batch: int) -> "OnnxExecution":
        """Allocate buffers for up to `max_batch` images."""
        return self.bind(Buffers.allocate(self.signature, max_batch, np.zeros))  # rows never written are defined

    def bind(self, buffers: Buffers) -> "OnnxExecution":
        """Run on these buffers."""
        return OnnxExecution(self._session, buffers)


class OnnxExecution:
    """Buffers bound to an ONNX Runtime session; results are written straight into them."""

    def __init__(self, session: ort.InferenceSession, buffers: Buffers) -> None:
        self._session, self._buffers = session, buffers
        self.inputs: Mapping[str, npt.NDArray[Any]] = buffers.inputs
        self.outputs: Mapping[str, npt.NDArray[Any]] = buffers.outputs
        self.max_batch = buffers.max_batch
        self._bindings: dict[int, ort.IOBinding] = {}  # batch size -> binding, made on first use

    def run(self, batch: int, cuda_stream: CudaStream) -> None:
        """Run now; the results are in `outputs` when this returns."""
        binding = self._bindings.get(batch)
        if binding is None:
            self._buffers.check(batch)
            binding = self._bindings[batch] = self._bind(batch)
        self._session.run_with_iobinding(binding)

    def _bind(self, batch: int) -> ort.IOBinding:
        binding = self._session.io_binding()
        for arrays, bind in ((self.inputs, binding.bind_input), (self.outputs, binding.bind_output)):
            for name, array in arrays.items():
                bind(name, "cpu", 0, array.dtype.type, (batch, *array.shape[1:]), array.ctypes.data)
        return binding


def open_session(
    path: Path, providers: Providers, threads: int | None, size: tuple[int, int] | None = None
) -> tuple[ort.InferenceSession, Signature]:
    """A session of the model file at `path`, checked against its metadata.

    size: width and height of the input, for a file with open sizes; None: the file's own.
    Raises ModelFileError where the file is missing or unreadable, SignatureError where it breaks the contract or has
    no such size.
    """
    if not path.is_file():
        raise ModelFileError(f"no model file at {path}")
    options = ort.SessionOptions()
    options.log_severity_level = 3  # errors only: they come back as exceptions
    options.intra_op_num_threads = threads or 0
    # The teacher's idle threads would otherwise burn a core each while the student runs, and the reverse.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if size is not None:  # told before it loads, so that it folds and fuses as in a file of that size alone
        check_size(size)
        for name, length in open_axes(size).items():
            options.add_free_dimension_override_by_name(name, length)
    try:
        session = ort.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # ONNX Runtime's exceptions share no base but this
        raise ModelFileError(f"{path} is no model that ONNX Runtime can read: {_first_line(error)}") from error
    stored = Signature.from_metadata(session.get_modelmeta().custom_metadata_map, str(path))
    if size is None and stored.sizes == "open":
        return open_session(path, providers, threads, (stored.width, stored.height))
    signature = stored.at(size, str(path))
    _check_graph(session, signature, path)
    return session, signature


def _check_graph(session: ort.InferenceSession, signature: Signature, path: Path) -> None:
    """Raise SignatureError unless the graph's inputs and outputs are those that its metadata announces."""
    for kind, nodes, arrays in (
        ("input", session.get_inputs(), signature.input_arrays(1)),
        ("output", session.get_outputs(), signature.output_arrays(1)),
    ):
        found = {node.name: node for node in nodes}
        if missing := [name for name in arrays if name not in found]:
            raise SignatureError(f"{path}: the graph has no {kind} {missing}, it has {sorted(found)}; export it again")
        if kind == "input" and (unknown := [name for name in found if name not in arrays]):
            raise SignatureError(f"{path}: the graph wants the inputs {unknown}, of which its metadata says nothing")
        for name, (shape, dtype) in arrays.items():
            _check_tensor(found[name], shape, np.dtype(dtype), f"{path}: {kind} {name!r}")


def _check_tensor(node: ort.NodeArg, shape: tuple[int, ...], dtype: np.dtype[Any], what: str) -> None:
    """Compare one tensor with the contract: dtype, a batch axis of any length, and the fixed axes where known."""
    if node.type != _ONNX_NAMES[dtype]:
        raise SignatureError(f"{what} must be {_ONNX_NAMES[dtype]}, is {node.type}")
    if len(node.shape) != len(shape) or isinstance(node.shape[0], int):
        raise SignatureError(f"{what} must have {len(shape)} axes, the first of any length; its shape is {node.shape}")
    for expected, got in zip(shape[1:], node.shape[1:], strict=True):
        if isinstance(got, int) and got != expected:
            raise SignatureError(
                f"{what} must have the shape (batch, {', '.join(map(str, shape[1:]))}), is {node.shape}"
            )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
