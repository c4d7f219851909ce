"""The shipped student at an adopted teacher's side: it follows people by the teacher's heatmap, not by their looks.

Its embeddings are not of the teacher's space, so they are taken out: what somebody looks like is known of keyframes
alone, where the teacher has an appearance network, or not at all. Beside a teacher of other things than people it does
not say what it sees.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from onnx import ModelProto, helper

from engines.signature import EMBEDDINGS, SCORES, Signature
from export.adopt.nodes import Nodes, prune
from export.precision import read_model


def make_student(shipped: Path, teacher: Signature) -> ModelProto:
    """The student in the model file `shipped`, as one of the teacher's pair.

    Raises ModelFileError or SignatureError for a file that is none.
    """
    model = read_model(shipped)
    signature = Signature.from_metadata({entry.key: entry.value for entry in model.metadata_props}, str(shipped))
    ours = replace(
        signature,
        pair=teacher.pair,
        embedding_dim=teacher.embedding_dim,
        appearance="none",
        mapping="none",
        classes=tuple(name for name in signature.classes if name in teacher.classes),
    )
    for node in model.graph.node:
        for place, name in enumerate(node.output):
            if name == EMBEDDINGS:
                node.output[place] = "looks"
    nodes = Nodes("unknown")
    nothing = np.zeros((1, 1, ours.embedding_dim), np.float32)
    nodes.rename(nodes("Mul", nodes("Unsqueeze", SCORES, [2]), nothing), EMBEDDINGS)
    model.graph.node.extend(nodes.nodes)
    model.graph.initializer.extend(nodes.constants)
    (embeddings,) = (value for value in model.graph.output if value.name == EMBEDDINGS)
    embeddings.type.tensor_type.shape.dim[2].dim_value = ours.embedding_dim
    prune(model.graph)
    helper.set_model_props(model, ours.to_metadata())
    return model
