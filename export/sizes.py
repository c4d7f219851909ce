"""Open height and width in a model file: named so that a runtime can be told them, and closed for one that cannot.

An axis that is open has a name: `height` and `width` in input pixels, `rows` and `columns` in cells
(`engines.signature.open_axes`). ONNX Runtime gets their lengths when it loads the file, TensorRT a file in which
they are closed. Both then see what an export for that one size would have given them.
"""

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, helper, numpy_helper

from engines.signature import IMAGE, Signature, open_axes

FIRST, SAME = "sizes.first", "sizes.same"


def name_axes(model: ModelProto) -> None:
    """Give the open axes of a fresh export their names, in place, and leave no shape depend on the batch's length."""
    graph = model.graph
    image = next(value for value in graph.input if value.name == IMAGE)
    tall, wide = (axis.dim_param.partition("*")[2] for axis in image.type.tensor_type.shape.dim[2:])
    if not (tall and wide):
        raise ValueError(f"height and width are not open in the export, the image has {image.type.tensor_type.shape}")
    names = {f"32*{tall}": "height", f"32*{wide}": "width", f"8*{tall}": "rows", f"8*{wide}": "columns"}
    for value in (*graph.input, *graph.output, *graph.value_info):
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param in names:
                axis.dim_param = names[axis.dim_param]
    for value in graph.output:
        if len(value.type.tensor_type.shape.dim) == 4:
            for axis, name in zip(value.type.tensor_type.shape.dim[2:], ("rows", "columns"), strict=True):
                axis.dim_param = name
    _forget_batch(graph)


def _forget_batch(graph: GraphProto) -> None:
    """Let shapes be computed from tensors without the batch axis, and the batch be copied: what is left then is known
    once height and width are, and a runtime folds it. ONNX Runtime folds no shape of which one axis is open."""
    graph.initializer.append(numpy_helper.from_array(np.array(0, np.int64), FIRST))
    graph.initializer.append(numpy_helper.from_array(np.array([-1], np.int64), SAME))
    nodes, batches, firsts = [], set(), set()
    for node in graph.node:
        within = {attribute.name: attribute.i for attribute in node.attribute}
        if node.op_type == "Shape" and within.get("start", 0) >= 1:
            whole = node.input[0]
            one = f"{whole}.{FIRST}"
            if whole not in firsts:
                firsts.add(whole)
                nodes.append(helper.make_node("Gather", [whole, FIRST], [one], name=one, axis=0))
            ends = {"end": within["end"] - 1} if "end" in within else {}
            nodes.append(
                helper.make_node("Shape", [one], node.output, name=node.name, start=within["start"] - 1, **ends)
            )
            continue
        if node.op_type == "Shape" and within.get("end") == 1:
            batches.add(node.output[0])
        if node.op_type == "Concat" and node.input[0] in batches:
            node.input[0] = SAME  # of a new shape, whose other axes are known
        nodes.append(node)
    used = {name for node in nodes for name in node.input}
    del graph.node[:]
    graph.node.extend(node for node in nodes if node.output[0] not in batches - used)


def _with_known_shapes(model: ModelProto) -> ModelProto:
    """The model with every shape that is known now as a constant: TensorRT takes no Gather of a picture's bytes."""
    while True:
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
        lengths = {
            value.name: [axis.dim_value for axis in value.type.tensor_type.shape.dim]
            for value in model.graph.value_info
        }
        kept, known = [], []
        for node in model.graph.node:
            shape = lengths.get(node.input[0], []) if node.op_type == "Shape" else []
            within = {attribute.name: attribute.i for attribute in node.attribute}
            axes = shape[within.get("start", 0) : within.get("end", len(shape))]
            if node.op_type == "Shape" and node.input[0].endswith(FIRST) and axes and all(axes):
                known.append(numpy_helper.from_array(np.array(axes, np.int64), node.output[0]))
            else:
                kept.append(node)
        if not known:
            return model
        used = {name for node in kept for name in node.input}
        del model.graph.node[:]
        model.graph.node.extend(node for node in kept if not node.output[0].endswith(FIRST) or node.output[0] in used)
        model.graph.initializer.extend(known)
        del model.graph.value_info[:]


def close_axes(model: ModelProto, signature: Signature) -> ModelProto:
    """The same network for the size of `signature` alone; a file that was never open comes back as it is."""
    if {entry.key: entry.value for entry in model.metadata_props}.get("sizes") != "open":
        return model
    closed = ModelProto()
    closed.CopyFrom(model)
    axes = open_axes((signature.width, signature.height))
    for value in (*closed.graph.input, *closed.graph.output):
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param in axes:
                axis.dim_value = axes[axis.dim_param]
    del closed.graph.value_info[:]
    closed = _with_known_shapes(closed)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    helper.set_model_props(closed, metadata | signature.to_metadata())
    return closed
