"""OpenVINO's own files as ONNX, for the operators that detectors and appearance networks are made of.

OpenVINO reads the file, gives its input the wanted size, and computes all that is then constant. What is left is
translated operator by operator. An int8 network stays one: its FakeQuantize becomes a QuantizeLinear and a
DequantizeLinear, and weights that lie on a grid of 255 steps are stored as int8, which is what runtimes make integer
arithmetic of.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto

from engines.errors import ModelFileError
from export.adopt.errors import AdoptError, first_line
from export.adopt.nodes import Nodes, model_of, tensor

Array = npt.NDArray[Any]
Operation = Any
"""An `openvino.Node`."""

_TYPES = {"f32": 1, "f16": 10, "i32": 6, "i64": 7, "u8": 2, "i8": 3, "u64": 7, "boolean": 9}
"""OpenVINO's names of types as ONNX's numbers; what only counts is signed in ONNX."""
_PLAIN = {
    "Add": "Add",
    "Subtract": "Sub",
    "Multiply": "Mul",
    "Divide": "Div",
    "Maximum": "Max",
    "Minimum": "Min",
    "Relu": "Relu",
    "Sigmoid": "Sigmoid",
    "Exp": "Exp",
    "Tanh": "Tanh",
    "Sqrt": "Sqrt",
    "HSwish": "HardSwish",
    "Power": "Pow",
    "PRelu": "PRelu",
    "MatMul": "MatMul",
    "Floor": "Floor",
    "Negative": "Neg",
    "Abs": "Abs",
    "Transpose": "Transpose",
    "Softplus": "Softplus",
    "Mish": "Mish",
    "Erf": "Erf",
    "Log": "Log",
}
"""The same under another name, inputs and all."""
_REDUCTIONS = {"ReduceMax": "ReduceMax", "ReduceMin": "ReduceMin", "ReduceMean": "ReduceMean", "ReduceSum": "ReduceSum"}


def read_openvino(path: Path, size: tuple[int, int] | None) -> ModelProto:
    """The network of an .xml file, beside which its .bin lies, at `size`, width and height; None: the file's own.

    Raises ModelFileError where it cannot be read, AdoptError for an operator that is not known here.
    """
    try:
        import openvino
        from openvino.passes import ConstantFolding, Manager
    except ModuleNotFoundError:
        raise AdoptError(f"{path} is OpenVINO's; to read it, pip install openvino") from None
    try:
        model = openvino.Core().read_model(path)
        if size is not None:
            model.reshape([1, 3, size[1], size[0]])
        folding = Manager()
        folding.register_pass(ConstantFolding())
        folding.run_passes(model)
    except RuntimeError as error:
        raise ModelFileError(f"{path} cannot be read by OpenVINO: {first_line(error)}") from error
    return _Translation(path).of(model)


class _Translation:
    """The nodes so far, and what each of OpenVINO's outputs is called among them."""

    def __init__(self, path: Path) -> None:
        self._path, self._nodes = path, Nodes("openvino")
        self._names: dict[tuple[str, int], str] = {}
        self._constants: dict[str, Array] = {}

    def of(self, model: Any) -> ModelProto:
        """All of a model, in the order in which it is computed."""
        inputs, outputs = [], []
        for operation in model.get_ordered_ops():
            kind = operation.get_type_name()
            if kind == "Parameter":
                name = operation.output(0).get_any_name()
                self._names[operation.get_name(), 0] = name
                shape = [axis.get_length() if axis.is_static else "batch" for axis in operation.get_partial_shape()]
                inputs.append(tensor(name, operation.get_element_type().to_dtype(), shape))
            elif kind == "Result":
                source = operation.input_value(0)
                name = source.get_any_name()
                self._nodes.rename(self._input(operation, 0), name)
                dtype = (
                    np.int64
                    if source.get_element_type().get_type_name() == "u64"
                    else source.get_element_type().to_dtype()
                )
                axes = source.get_partial_shape()
                shape = [f"{name}.{place}" if a.is_dynamic else a.get_length() for place, a in enumerate(axes)]
                outputs.append(tensor(name, dtype, shape))
            elif kind == "Constant":
                self._constants[operation.get_name()] = np.array(operation.data)
            else:
                found = self._translate(kind, operation)
                for place, output in enumerate(found if isinstance(found, list) else [found]):
                    self._names[operation.get_name(), place] = output
        return model_of(self._nodes.graph(inputs, outputs))

    def _input(self, operation: Operation, place: int) -> str:
        """The name of an input; a constant is written down when it is first used."""
        source = operation.input_value(place)
        key = source.get_node().get_name(), source.get_index()
        if key not in self._names:
            self._names[key] = self._nodes.constant(self._constants[key[0]])
        return self._names[key]

    def _known(self, operation: Operation, place: int) -> Array:
        """The value of an input that has to be constant. Raises AdoptError where it is not."""
        found = self._constants.get(operation.input_value(place).get_node().get_name())
        if found is None:
            raise AdoptError(
                f"{self._path}: input {place} of the {operation.get_type_name()} {operation.get_friendly_name()!r} is "
                "computed, a constant was expected; export the network to ONNX from where it comes from"
            )
        return found

    def _whole(self, operation: Operation, place: int) -> list[int]:
        """A constant input as whole numbers."""
        return [int(value) for value in np.atleast_1d(self._known(operation, place))]

    def _translate(self, kind: str, operation: Operation) -> str | list[str]:
        """The nodes of one operation; the names of its outputs."""
        nodes, attributes = self._nodes, operation.get_attributes()
        if kind == "Add" and (biased := self._bias(operation)):
            return biased
        if kind in _PLAIN and kind not in ("Transpose", "MatMul"):
            return nodes(_PLAIN[kind], *(self._input(operation, place) for place in range(operation.get_input_size())))
        if kind in _REDUCTIONS:
            return nodes(
                _REDUCTIONS[kind],
                self._input(operation, 0),
                self._whole(operation, 1),
                keepdims=int(attributes["keep_dims"]),
            )
        translate: Callable[[Operation, dict[str, Any]], str | list[str]] | None
        translate = getattr(self, f"_{kind.lower()}", None)
        if translate is None:
            raise AdoptError(
                f"{self._path} has the operator {kind} ({operation.get_friendly_name()!r}), which is not known here; "
                "export the network to ONNX from where it comes from"
            )
        found: str | list[str] = translate(operation, attributes)
        return found

    def _transpose(self, operation: Operation, attributes: dict[str, Any]) -> str:
        return self._nodes("Transpose", self._input(operation, 0), perm=self._whole(operation, 1))

    def _matmul(self, operation: Operation, attributes: dict[str, Any]) -> str:
        sides = []
        for place, turned in enumerate((attributes["transpose_a"], attributes["transpose_b"])):
            side, rank = self._input(operation, place), len(operation.get_input_partial_shape(place))
            perm = [*range(rank - 2), rank - 1, rank - 2]
            sides.append(self._nodes("Transpose", side, perm=perm) if turned else side)
        return self._nodes("MatMul", *sides)

    def _convolution(self, operation: Operation, attributes: dict[str, Any], groups: int = 1) -> str:
        weights = self._known(operation, 1).astype(np.float32)
        if groups > 1 or weights.ndim == len(operation.get_input_partial_shape(0)) + 1:
            weights = weights.reshape(-1, *weights.shape[2:])
        return self._nodes(
            "Conv",
            self._input(operation, 0),
            self._weights(weights),
            group=groups,
            strides=[*attributes["strides"]],
            dilations=[*attributes["dilations"]],
            **self._padding(attributes),
        )

    def _bias(self, addition: Operation) -> str:
        """The output of the convolution that this adds a constant to, for each channel, alone; "" where it is none."""
        source = addition.input_value(0)
        constant = self._constants.get(addition.input_value(1).get_node().get_name())
        if source.get_node().get_type_name() not in ("Convolution", "GroupConvolution") or constant is None:
            return ""
        channels = addition.get_output_partial_shape(0)[1].get_length()
        if len(source.get_target_inputs()) > 1 or constant.shape[1:] not in ((channels, 1, 1), (1, 1, 1)):
            return ""
        name = self._input(addition, 0)
        (convolution,) = (node for node in self._nodes.nodes if name in node.output)
        bias = np.broadcast_to(constant.reshape(-1), channels).astype(np.float32)
        convolution.input.append(self._nodes.constant(bias))
        return name

    def _groupconvolution(self, operation: Operation, attributes: dict[str, Any]) -> str:
        return self._convolution(operation, attributes, self._known(operation, 1).shape[0])

    def _weights(self, weights: Array) -> str:
        """As int8 where they lie on such a grid in each output channel, else as they are."""
        scale = np.abs(weights).max(axis=tuple(range(1, weights.ndim))) / 127
        steps = weights / np.maximum(scale, 1e-12).reshape(-1, *[1] * (weights.ndim - 1))
        if np.abs(steps - np.round(steps)).max() > 1e-2:
            return self._nodes.constant(weights)
        stored, zeros = np.round(steps).astype(np.int8), np.zeros(len(scale), np.int8)
        return self._nodes("DequantizeLinear", stored, np.maximum(scale, 1e-12).astype(np.float32), zeros, axis=0)

    def _padding(self, attributes: dict[str, Any]) -> dict[str, Any]:
        kind = attributes["auto_pad"]
        if kind in ("explicit", "notset"):
            return {"pads": [*attributes["pads_begin"], *attributes["pads_end"]]}
        return {"auto_pad": {"same_upper": "SAME_UPPER", "same_lower": "SAME_LOWER", "valid": "VALID"}[kind]}

    def _maxpool(self, operation: Operation, attributes: dict[str, Any]) -> str:
        return self._nodes(
            "MaxPool",
            self._input(operation, 0),
            kernel_shape=[*attributes["kernel"]],
            strides=[*attributes["strides"]],
            ceil_mode=int(str(attributes["rounding_type"]) != "floor"),
            **self._padding(attributes),
        )

    def _avgpool(self, operation: Operation, attributes: dict[str, Any]) -> str:
        return self._nodes(
            "AveragePool",
            self._input(operation, 0),
            kernel_shape=[*attributes["kernel"]],
            strides=[*attributes["strides"]],
            count_include_pad=int(not attributes["exclude-pad"]),
            ceil_mode=int(str(attributes["rounding_type"]) != "floor"),
            **self._padding(attributes),
        )

    def _clamp(self, operation: Operation, attributes: dict[str, Any]) -> str:
        return self._nodes("Clip", self._input(operation, 0), float(attributes["min"]), float(attributes["max"]))

    def _mvn(self, operation: Operation, attributes: dict[str, Any]) -> str:
        nodes, value, axes = self._nodes, self._input(operation, 0), self._whole(operation, 1)
        rest = nodes("Sub", value, nodes("ReduceMean", value, axes, keepdims=1))
        if not attributes["normalize_variance"]:
            return rest
        variance = nodes("ReduceMean", nodes("Mul", rest, rest), axes, keepdims=1)
        if attributes["eps_mode"] == "INSIDE_SQRT":
            return nodes("Div", rest, nodes("Sqrt", nodes("Add", variance, float(attributes["eps"]))))
        return nodes("Div", rest, nodes("Add", nodes("Sqrt", variance), float(attributes["eps"])))

    def _interpolate(self, operation: Operation, attributes: dict[str, Any]) -> str:
        size = list(operation.get_output_shape(0))
        return self._nodes(
            "Resize",
            self._input(operation, 0),
            "",
            "",
            [int(length) for length in size],
            mode={"linear_onnx": "linear"}.get(attributes["mode"], attributes["mode"]),
            coordinate_transformation_mode=attributes["coordinate_transformation_mode"],
            nearest_mode=attributes["nearest_mode"],
        )

    def _reshape(self, operation: Operation, attributes: dict[str, Any]) -> str:
        shape = self._nodes.constant([int(value) for value in self._known(operation, 1)])
        return self._nodes("Reshape", self._input(operation, 0), shape, allowzero=int(not attributes["special_zero"]))

    def _concat(self, operation: Operation, attributes: dict[str, Any]) -> str:
        parts = [self._input(operation, place) for place in range(operation.get_input_size())]
        return self._nodes("Concat", *parts, axis=int(attributes["axis"]))

    def _softmax(self, operation: Operation, attributes: dict[str, Any]) -> str:
        return self._nodes("Softmax", self._input(operation, 0), axis=int(attributes["axis"]))

    def _swish(self, operation: Operation, attributes: dict[str, Any]) -> str:
        value = self._input(operation, 0)
        return self._nodes("Mul", value, self._nodes("Sigmoid", value))

    def _unsqueeze(self, operation: Operation, attributes: dict[str, Any]) -> str:
        return self._nodes("Unsqueeze", self._input(operation, 0), self._whole(operation, 1))

    def _squeeze(self, operation: Operation, attributes: dict[str, Any]) -> str:
        axes = [self._whole(operation, 1)] if operation.get_input_size() > 1 else []
        return self._nodes("Squeeze", self._input(operation, 0), *axes)

    def _gather(self, operation: Operation, attributes: dict[str, Any]) -> str:
        (axis,) = self._whole(operation, 2)
        return self._nodes("Gather", self._input(operation, 0), self._input(operation, 1), axis=axis)

    def _stridedslice(self, operation: Operation, attributes: dict[str, Any]) -> str:
        begin, end = self._whole(operation, 1), self._whole(operation, 2)
        steps = self._whole(operation, 3) if operation.get_input_size() > 3 else [1] * len(begin)
        if any(map(any, (attributes["new_axis_mask"], attributes["ellipsis_mask"]))):
            raise AdoptError(f"{self._path}: the StridedSlice {operation.get_friendly_name()!r} makes new axes")
        most = np.iinfo(np.int64).max
        for place, (from_first, to_last) in enumerate(
            zip(attributes["begin_mask"], attributes["end_mask"], strict=True)
        ):
            begin[place] = 0 if from_first else begin[place]
            end[place] = most if to_last else end[place]
        value = self._nodes("Slice", self._input(operation, 0), begin, end, [*range(len(begin))], steps)
        gone = [place for place, shrinks in enumerate(attributes["shrink_axis_mask"]) if shrinks]
        return self._nodes("Squeeze", value, gone) if gone else value

    def _broadcast(self, operation: Operation, attributes: dict[str, Any]) -> str:
        return self._nodes("Expand", self._input(operation, 0), self._whole(operation, 1))

    def _convert(self, operation: Operation, attributes: dict[str, Any]) -> str:
        return self._nodes.cast(self._input(operation, 0), _TYPES[str(attributes["destination_type"])])

    def _topk(self, operation: Operation, attributes: dict[str, Any]) -> list[str]:
        return self._nodes.several(
            "TopK",
            2,
            self._input(operation, 0),
            self._whole(operation, 1),
            axis=int(attributes["axis"]),
            largest=int(attributes["mode"] == "max"),
        )

    def _nonmaxsuppression(self, operation: Operation, attributes: dict[str, Any]) -> str:
        limits = [self._known(operation, place).reshape(1) for place in range(2, min(5, operation.get_input_size()))]
        return self._nodes(
            "NonMaxSuppression",
            self._input(operation, 0),
            self._input(operation, 1),
            limits[0].astype(np.int64),
            *(limit.astype(np.float32) for limit in limits[1:]),
            center_point_box=int(attributes["box_encoding"] == "center"),
        )

    def _fakequantize(self, operation: Operation, attributes: dict[str, Any]) -> str:
        low, high, out_low, out_high = (self._known(operation, place).astype(np.float64) for place in range(1, 5))
        steps = int(attributes["levels"]) - 1
        value = self._input(operation, 0)
        scale = (high - low) / steps
        zero = -low / np.maximum(scale, 1e-30)
        plain = np.array_equal(low, out_low) and np.array_equal(high, out_high) and steps == 255 and scale.min() > 0
        if not plain or np.abs(zero - np.round(zero)).max() > 1e-2 or zero.min() < -0.01 or zero.max() > 255.01:
            return self._in_steps(value, (low, high, out_low, out_high), steps)
        channels = [place for place, length in enumerate(scale.shape) if length > 1]
        if len(channels) > 1:
            return self._in_steps(value, (low, high, out_low, out_high), steps)
        axis = {"axis": channels[0]} if channels else {}
        flat = scale.reshape(-1) if channels else scale.reshape(())
        numbers = self._nodes.constant(flat.astype(np.float32))
        zeros = self._nodes.constant(np.round(zero).reshape(flat.shape).astype(np.uint8))
        stored = self._nodes("QuantizeLinear", value, numbers, zeros, **axis)
        return self._nodes("DequantizeLinear", stored, numbers, zeros, **axis)

    def _in_steps(self, value: str, ranges: tuple[Array, Array, Array, Array], steps: int) -> str:
        """FakeQuantize as arithmetic, for ranges that no eight bits have."""
        low, high, out_low, out_high = (one.astype(np.float32) for one in ranges)
        nodes = self._nodes
        inside = nodes("Max", nodes("Min", value, high), low)
        share = nodes("Div", nodes("Sub", inside, low), np.maximum((high - low) / steps, 1e-30).astype(np.float32))
        return nodes(
            "Add", nodes("Mul", nodes("Round", share), ((out_high - out_low) / steps).astype(np.float32)), out_low
        )
