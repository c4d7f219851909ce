"""Weights of an ONNX model stored in fp16: half the file, same fp32 arithmetic (a Cast that runtimes fold on load).

Not ONNX Runtime's own converter: that changes the arithmetic, too.
"""

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

SMALLEST = 64
"""Tensors with fewer elements stay as they are."""


def halve_weights(model: ModelProto) -> None:
    """Store large float32 initializers as float16, in place. Raises OverflowError for a weight beyond fp16's range."""
    graph = model.graph
    casts = []
    for tensor in list(graph.initializer):
        if tensor.data_type != TensorProto.FLOAT:
            continue
        value = numpy_helper.to_array(tensor)
        if value.size < SMALLEST:
            continue
        if np.abs(value).max() > np.finfo(np.float16).max:
            raise OverflowError(f"weight {tensor.name} reaches {np.abs(value).max():.3g}, beyond fp16; train it again")
        name = tensor.name
        stored = numpy_helper.from_array(value.astype(np.float16), f"{name}.fp16")
        graph.initializer.remove(tensor)
        graph.initializer.append(stored)
        casts.append(helper.make_node("Cast", [stored.name], [name], name=f"{name}.cast", to=TensorProto.FLOAT))
    for position, node in enumerate(casts):
        graph.node.insert(position, node)
    onnx.checker.check_model(model)


def restore_weights(model: ModelProto) -> None:
    """Make fp32 initializers of weights that are stored as fp16 behind a Cast, in place; no arithmetic changes."""
    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT16}
    for node in [node for node in graph.node if node.op_type == "Cast" and node.input[0] in stored]:
        value = numpy_helper.to_array(stored[node.input[0]]).astype(np.float32)
        graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
        graph.node.remove(node)
    used = {name for node in graph.node for name in node.input}
    for name, tensor in stored.items():
        if name not in used:
            graph.initializer.remove(tensor)
