"""A piece of an ONNX graph as it is written down, node by node."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

OPSET = 18
"""The operators are those of this version, and are the same in the later ones."""
IR_VERSION = 10

Value = str | float | int | list[int] | list[float] | npt.NDArray[Any]
"""A tensor's name, or a constant: floats become float32, whole numbers int64."""


class Nodes:
    """Nodes in order, and their constants; `nodes("Add", a, 1.0)` adds one and returns the name of its output."""

    def __init__(self, name: str) -> None:
        """`name` begins the name of every tensor made here."""
        self.name = name
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def __call__(self, operator: str, *inputs: Value, **attributes: Any) -> str:
        return self.several(operator, 1, *inputs, **attributes)[0]

    def several(self, operator: str, count: int, *inputs: Value, **attributes: Any) -> list[str]:
        """As a call, for a node with `count` outputs. An empty name stands for an input that is left out."""
        number = len(self.nodes)
        outputs = [f"{self.name}.{operator}.{number}" + (f".{place}" if count > 1 else "") for place in range(count)]
        names = [value if isinstance(value, str) else self.constant(value) for value in inputs]
        self.nodes.append(helper.make_node(operator, names, outputs, name=outputs[0], **attributes))
        return outputs

    def constant(self, value: Value) -> str:
        """The name of a new constant."""
        array = np.asarray(value)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        name = f"{self.name}.constant.{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def cast(self, value: str, element: int) -> str:
        """`value` with elements of another of ONNX's types."""
        return self("Cast", value, to=element)

    def float(self, value: str) -> str:
        """`value` in float32."""
        return self.cast(value, TensorProto.FLOAT)

    def rename(self, value: str, name: str) -> None:
        """Let a tensor be known by `name`, too."""
        self.nodes.append(helper.make_node("Identity", [value], [name], name=f"{self.name}.{name}"))

    def take_in(self, graph: GraphProto, prefix: str, inputs: dict[str, str]) -> None:
        """Add all of another graph, whose names then begin with `prefix`; `inputs`: its inputs' names to ours."""
        model = helper.make_model(graph)
        graph = onnx.compose.add_prefix(model, prefix).graph
        for theirs, ours in inputs.items():
            self.rename(ours, prefix + theirs)
        self.nodes.extend(graph.node)
        self.constants.extend(graph.initializer)

    def graph(self, inputs: Iterable[ValueInfoProto], outputs: Iterable[ValueInfoProto]) -> GraphProto:
        """All of it, but for what no output needs."""
        outputs = list(outputs)
        graph = helper.make_graph(self.nodes, self.name, list(inputs), outputs, self.constants)
        prune(graph)
        return graph


def prune(graph: GraphProto) -> None:
    """Take out, in place, nodes and constants that no output needs."""
    needed = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed & {*node.output}:
            kept.append(node)
            needed.update(_reads(node))
    kept.reverse()
    constants = [tensor for tensor in graph.initializer if tensor.name in needed]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(kept)
    graph.initializer.extend(constants)


def _reads(node: NodeProto) -> set[str]:
    """What a node reads, its inner graphs' reading from outside included."""
    found = {*node.input}
    for attribute in node.attribute:
        for inner in (attribute.g, *attribute.graphs):
            for one in inner.node:
                found |= _reads(one)
            found |= {value.name for value in inner.output}
    return found


def tensor(name: str, dtype: npt.DTypeLike, shape: Iterable[int | str]) -> ValueInfoProto:
    """What a graph says of an input or output; an axis that is open has a name."""
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), list(shape))


def model_of(graph: GraphProto, opsets: Iterable[onnx.OperatorSetIdProto] = ()) -> ModelProto:
    """A model with these operators beside ONNX's own, which come first where they are newer than ours."""
    known = {entry.domain: entry.version for entry in opsets}
    known[""] = max(known.get("", OPSET), OPSET)
    entries = [helper.make_opsetid(domain, version) for domain, version in known.items()]
    return helper.make_model(graph, opset_imports=entries, ir_version=IR_VERSION)
