"""The same network computing in fp16: precision stands in the ONNX file, so every runtime computes alike.

The body, which is all that leads to a convolution, computes in fp16. What comes after the last convolutions stays in
fp32: the sigmoid, whose upper end fp16 rounds to ties; coordinates, of which fp16 has only whole pixels above 1024; and
the embeddings' norm, whose epsilon of 1e-12 fp16 cannot hold. Only steps that move values around stay in fp16 there,
so that 300 embeddings are converted and not a whole map of them. Positions at which a network samples stay in fp32.

Not ONNX Runtime's own converter (1.32 tried): it casts around each node that is to stay in fp32, so that what goes from
one of them to the next, and to the outputs, is rounded to fp16 all the same.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

MOVERS = frozenset({"Reshape", "Transpose", "Unsqueeze", "Squeeze", "Slice", "Gather", "GatherElements", "GatherND"})
"""Operators whose first input is moved, not computed with."""
ALWAYS_FLOAT = {("Resize", 1), ("Resize", 2)}
"""Inputs (operator, position) that have no fp16 variant."""


def halve_arithmetic(model: ModelProto) -> None:
    """Turn the body of a network with fp32 weights to fp16, in place; inputs and outputs keep their types.

    Raises OverflowError for a weight beyond fp16's range.
    """
    graph = model.graph
    floats = _float_tensors(model)
    body = _body(graph)
    constants = {tensor.name: tensor for tensor in graph.initializer}
    half = {name for node in body for name in node.output if name in floats}  # tensors that are fp16 from here on
    casts = _Casts(graph)
    nodes: list[NodeProto] = []
    inside = {id(node) for node in body}
    for node in list(graph.node):
        for position, name in enumerate(node.input):
            if name not in floats:
                continue
            wants_half = id(node) in inside and (node.op_type, position) not in ALWAYS_FLOAT
            if wants_half and name in constants:
                node.input[position] = casts.constant(constants[name])
            elif wants_half != (name in half):
                node.input[position], cast = casts.between(
                    name, TensorProto.FLOAT16 if wants_half else TensorProto.FLOAT
                )
                nodes += cast
        if id(node) in inside and node.op_type == "Cast":
            next(attribute for attribute in node.attribute if attribute.name == "to").i = TensorProto.FLOAT16
        nodes.append(node)
    nodes += _restore_outputs(graph, half, nodes)
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    _drop_unused(graph)


def _body(graph: GraphProto) -> list[NodeProto]:
    """Nodes that compute in fp16."""
    maker = {name: node for node in graph.node for name in node.output}
    body = _ancestors((node for node in graph.node if node.op_type == "Conv"), maker, stop=())
    sampling = [node for node in graph.node if node.op_type == "GridSample"]
    precise = {id(node) for node in sampling}
    grids = (maker[node.input[1]] for node in sampling if node.input[1] in maker)
    precise |= {id(node) for node in _ancestors(grids, maker, stop=("Conv",)) if node.op_type != "Conv"}
    inside = {id(node) for node in body} - precise
    for node in graph.node:  # in topological order, so a chain of movers is followed to its end
        if node.op_type in MOVERS and (source := maker.get(node.input[0])) is not None and id(source) in inside:
            inside.add(id(node))
    return [node for node in graph.node if id(node) in inside]


def _ancestors(nodes: Iterable[NodeProto], maker: dict[str, NodeProto], stop: tuple[str, ...]) -> list[NodeProto]:
    """The nodes and all that lead to them; beyond a node of a type in `stop` nothing is followed."""
    found: dict[int, NodeProto] = {}
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if id(node) in found:
            continue
        found[id(node)] = node
        if node.op_type not in stop:
            waiting += [maker[name] for name in node.input if name in maker]
    return list(found.values())


class _Casts:
    """Names of converted tensors; each is converted once."""

    def __init__(self, graph: GraphProto) -> None:
        self._graph = graph
        self._made: dict[tuple[str, int], str] = {}

    def constant(self, tensor: TensorProto) -> str:
        """The initializer as fp16."""
        key = (tensor.name, int(TensorProto.FLOAT16))
        if key not in self._made:
            value = numpy_helper.to_array(tensor)
            if value.size and np.abs(value).max() > np.finfo(np.float16).max:
                raise OverflowError(f"weight {tensor.name} reaches {np.abs(value).max():.3g}, beyond fp16")
            self._made[key] = f"{tensor.name}.half"
            self._graph.initializer.append(numpy_helper.from_array(value.astype(np.float16), self._made[key]))
        return self._made[key]

    def between(self, name: str, to: int) -> tuple[str, list[NodeProto]]:
        """The tensor as type `to`, and the node that makes it where there is none yet."""
        key = (name, to)
        if key in self._made:
            return self._made[key], []
        self._made[key] = f"{name}.{'half' if to == TensorProto.FLOAT16 else 'float'}"
        return self._made[key], [helper.make_node("Cast", [name], [self._made[key]], name=self._made[key], to=to)]


def _restore_outputs(graph: GraphProto, half: set[str], nodes: list[NodeProto]) -> Iterator[NodeProto]:
    """Casts that give the graph's outputs, where they come from the body, their fp32 back."""
    for output in graph.output:
        if output.name not in half:
            continue
        inner = f"{output.name}.inner"
        for node in nodes:
            for names in (node.input, node.output):
                for position, name in enumerate(names):
                    if name == output.name:
                        names[position] = inner
        yield helper.make_node("Cast", [inner], [output.name], name=f"{output.name}.out", to=TensorProto.FLOAT)


def _float_tensors(model: ModelProto) -> set[str]:
    """Names of all fp32 tensors of the graph."""
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    values = (*graph.input, *graph.output, *graph.value_info)
    found = {value.name for value in values if value.type.tensor_type.elem_type == TensorProto.FLOAT}
    return found | {tensor.name for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT}


def _drop_unused(graph: GraphProto) -> None:
    used = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)
