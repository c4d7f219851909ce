"""Somebody else's network as it is: a graph, what its input wants, and what it answers to a picture."""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx
import onnx.inliner
import onnxruntime
from onnx import ModelProto, TensorProto, ValueInfoProto, helper

from export.adopt.errors import AdoptError, first_line
from export.adopt.nodes import OPSET, Nodes
from export.precision import read_model

Colour = Literal["rgb", "bgr"]
_PIXELS: dict[int, type[np.generic]] = {
    TensorProto.UINT8: np.uint8,
    TensorProto.FLOAT: np.float32,
    TensorProto.FLOAT16: np.float16,
}
Array = npt.NDArray[Any]


Answer = Callable[[npt.NDArray[np.uint8], "Pixels"], dict[str, Array]]


@dataclass(frozen=True, slots=True)
class Pixels:
    """What a network wants its pixels to be: (value - mean) / std, values being 0 to 255."""

    colour: Colour
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """In the order of `colour`, as `std`."""
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __str__(self) -> str:
        mean, std = (",".join(f"{value:g}" for value in values) for values in (self.mean, self.std))
        return f"{self.colour.upper()}, mean {mean}, std {std}"


RGB_TO_ONE = Pixels("rgb", std=(255.0, 255.0, 255.0))
RGB_AS_IMAGENET = Pixels("rgb", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
RGB_AS_THEY_ARE, BGR_AS_THEY_ARE = Pixels("rgb"), Pixels("bgr")


@dataclass(frozen=True, slots=True)
class DetectorNetwork:
    """A graph with one picture as its input, of one size."""

    path: Path
    model: ModelProto
    """At our opset or a later one, for `width` and `height`; the batch as it was."""
    image: str
    """Name of the input that is the picture."""
    width: int
    height: int
    element: int
    """ONNX's type of the picture's elements."""
    channels_last: bool
    size_input: str = ""
    """Name of a second input that wants to be told the picture's width and height; "" where there is none."""
    names: Mapping[int, str] = field(default_factory=dict)
    """Class -> name, as far as the file says."""

    @property
    def batched(self) -> bool:
        """Whether it says that it takes any number of pictures."""
        axis = _input(self.model, self.image).type.tensor_type.shape.dim[0]
        return not axis.HasField("dim_value") or axis.dim_value < 1

    def prepare(self, nodes: Nodes, picture: str, size: tuple[int, int], pixels: Pixels) -> str:
        """Nodes from RGB planes (B, 3, h, w) of `size`, width and height, in 0 to 255 to what the network wants."""
        if size != (self.width, self.height):
            shape = nodes("Concat", nodes("Shape", picture, end=2), [self.height, self.width], axis=0)
            picture = nodes("Resize", picture, "", "", shape, mode="linear")
        if pixels.colour == "bgr":
            picture = nodes("Gather", picture, [2, 1, 0], axis=1)
        if any(pixels.mean):
            picture = nodes("Sub", picture, np.array(pixels.mean, np.float32).reshape(3, 1, 1))
        if pixels.std != (1.0, 1.0, 1.0):
            picture = nodes("Div", picture, np.array(pixels.std, np.float32).reshape(3, 1, 1))
        if self.element == TensorProto.UINT8:
            picture = nodes("Round", picture)
        if self.element != TensorProto.FLOAT:
            picture = nodes.cast(picture, self.element)
        return nodes("Transpose", picture, perm=[0, 2, 3, 1]) if self.channels_last else picture

    def insert(self, nodes: Nodes, prefix: str, picture: str) -> None:
        """Add the network's own nodes; its outputs then have their names behind `prefix`."""
        inputs = {self.image: picture}
        if self.size_input:
            inputs[self.size_input] = nodes.constant(np.array([[self.width, self.height]], np.int64))
        nodes.take_in(self.model.graph, prefix, inputs)

    def opened(self) -> Answer:
        """What it answers to RGB planes (1, 3, height, width), once it has been loaded: output's name -> array.

        Raises AdoptError where it does not run, and so does what is returned.
        """
        names = [value.name for value in self.model.graph.output]
        try:
            session = open_model(self.model)
        except Exception as error:  # ONNX Runtime's exceptions share no base but this
            raise AdoptError(f"{self.path} is not loaded by ONNX Runtime: {first_line(error)}") from error

        def answer(planes: npt.NDArray[np.uint8], pixels: Pixels) -> dict[str, Array]:
            values = planes.astype(np.float32)
            values = values[:, ::-1] if pixels.colour == "bgr" else values
            values = (values - np.reshape(pixels.mean, (3, 1, 1))) / np.reshape(pixels.std, (3, 1, 1))
            feed: Array = values.astype(_PIXELS[self.element])
            feeds: dict[str, Array] = {self.image: feed.transpose(0, 2, 3, 1) if self.channels_last else feed}
            if self.size_input:
                feeds[self.size_input] = np.array([[self.width, self.height]], np.int64)
            try:
                return dict(zip(names, session.run(names, feeds), strict=True))
            except Exception as error:  # as above
                raise AdoptError(
                    f"{self.path} does not run at {self.width}x{self.height}: {first_line(error)}"
                ) from error

        return answer


def open_model(model: ModelProto) -> onnxruntime.InferenceSession:
    """A session on the CPU that only complains of errors."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def read_network(path: Path, size: tuple[int, int] | None, default: tuple[int, int]) -> DetectorNetwork:
    """The network in `path`, an .onnx file, or OpenVINO's .xml where `openvino` is installed.

    size: width and height that its input is to have, where these are open; `default` where nothing is said.
    Raises AdoptError, or ModelFileError for a file that is none.
    """
    if path.suffix == ".xml":
        from export.adopt.openvino_model import read_openvino  # an optional library stands behind it

        model = read_openvino(path, size)
    else:
        model = _renewed(read_model(path), path)
    inputs = [value for value in model.graph.input if value.name not in {t.name for t in model.graph.initializer}]
    pictures = [value for value in inputs if len(value.type.tensor_type.shape.dim) == 4]
    others = [value for value in inputs if value not in pictures]
    if len(pictures) != 1:
        raise AdoptError(
            f"{path} should have one input of four axes, a picture; it has {_told(inputs)}. Export it with the picture "
            "as its only input"
        )
    (image,) = pictures
    for value in others:
        axes = [axis.dim_value for axis in value.type.tensor_type.shape.dim]
        if len(others) > 1 or axes[-1:] != [2] or value.type.tensor_type.elem_type != TensorProto.INT64:
            raise AdoptError(
                f"{path} wants the input {_told([value])}, of which only a picture's size, int64 (batch, 2), is known; "
                "export it without"
            )
    element = image.type.tensor_type.elem_type
    if element not in _PIXELS:
        raise AdoptError(f"{path}: the input {_told([image])} should be float32, float16 or uint8; export it so")
    lengths = [axis.dim_value for axis in image.type.tensor_type.shape.dim]
    channels_last = lengths[1] != 3 and lengths[3] == 3
    if not channels_last and lengths[1] not in (0, 3):
        raise AdoptError(
            f"{path}: the input {_told([image])} should have three channels; one for grey pictures cannot be adopted"
        )
    rows = 1 if channels_last else 2
    height, width = lengths[rows : rows + 2]
    wanted = size or (width or default[0], height or default[1])
    if (width and width != wanted[0]) or (height and height != wanted[1]):
        raise AdoptError(
            f"{path} is for pictures of {width or 'any'}x{height or 'any'} alone, {wanted[0]}x{wanted[1]} was asked "
            "for; leave --size out, or export it with open sizes"
        )
    _close(model, image, rows, wanted)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    return DetectorNetwork(
        path,
        model,
        image.name,
        *wanted,
        element,
        channels_last,
        others[0].name if others else "",
        _names(metadata.get("names", "")),
    )


def _renewed(model: ModelProto, path: Path) -> ModelProto:
    """The same network with our version of ONNX's operators, or a later one, and without functions of its own."""
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    version = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 1)
    if version >= OPSET:
        return model
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    try:
        renewed = onnx.version_converter.convert_version(model, OPSET)
    except Exception as error:  # a RuntimeError, a ValueError, or the converter's own
        raise AdoptError(
            f"{path} is in ONNX's opset {version}, which could not be brought to {OPSET} ({first_line(error)}); "
            f"export it with opset {OPSET}"
        ) from error
    helper.set_model_props(renewed, metadata)
    return renewed


def _close(model: ModelProto, image: ValueInfoProto, rows: int, size: tuple[int, int]) -> None:
    """Fix height and width of the picture, in place; what was known of shapes inside may have been for others."""
    axes = image.type.tensor_type.shape.dim
    axes[rows].dim_value, axes[rows + 1].dim_value = size[1], size[0]
    del model.graph.value_info[:]
    for value in model.graph.output:
        for axis in value.type.tensor_type.shape.dim:
            axis.Clear()


def _names(text: str) -> dict[int, str]:
    """Class names as exports of YOLO write them: "{0: 'person', 1: 'bicycle'}"."""
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return {}
    pairs = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list | tuple) else ()
    return {int(number): str(name) for number, name in pairs}


def _input(model: ModelProto, name: str) -> ValueInfoProto:
    found: ValueInfoProto = next(value for value in model.graph.input if value.name == name)
    return found


def _told(values: list[ValueInfoProto]) -> str:
    """Names, types and shapes, for people."""
    told = []
    for value in values:
        of = value.type.tensor_type
        axes = ", ".join(axis.dim_param or str(axis.dim_value or "?") for axis in of.shape.dim)
        told.append(f"{value.name!r} {TensorProto.DataType.Name(of.elem_type).lower()} ({axes})")
    return ", ".join(told) or "none"
