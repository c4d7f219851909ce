"""Export trained weights to ONNX under the contract of `engines.signature`, and check the result against torch.

examples:
  atttrack export onnx runs/open-teacher/weights.pt --role teacher --output models/open-teacher.onnx
  atttrack export onnx runs/yolo-student/weights.pt --role student --size 1088x608 --fixed \\
      --output models/yolo-student-1088x608.onnx

One file serves every input size, in multiples of 32; `--size` is the one it has unless told otherwise. With `--fixed`
it has no other.

With `--pivot`, embeddings leave as EFM's pivot features (AttTrack section 3.3); export both networks of a pair so.
"""

import argparse
import logging
import sys
import warnings
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor

from edge.pipeline.config import INPUT_SIZE, parse_size
from engines.signature import IMAGE, PRIOR, STRIDE, FeatureMapping, Role, Signature, Sizes, size_name
from export.deployed import Deployed
from export.half_weights import halve_weights
from export.sizes import name_axes
from export.verify import verify
from training.losses import PivotFeatures
from training.models.decode import PEAKS
from training.models.heads import TrackingNetwork
from training.weights import load_network, pivot_from

OPSET = 18
LARGEST = 4096
"""Of an open input's sides."""


def main(argv: list[str] | None = None) -> None:
    """Export one model file; exit code 1 when ONNX Runtime disagrees with torch."""
    parser = argparse.ArgumentParser(
        prog="atttrack export onnx", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", type=Path, help="weights.pt of a training run")
    parser.add_argument("--role", choices=("teacher", "student"), required=True, help="what the network is")
    parser.add_argument(
        "--size",
        type=parse_size,
        default=size_name(INPUT_SIZE),
        metavar="WxH",
        help="multiples of 32 (default %(default)s)",
    )
    parser.add_argument("--fixed", action="store_true", help="for that size alone")
    parser.add_argument(
        "--pivot",
        action="store_true",
        help="embeddings as pivot features (explicit feature mapping; default: as they are)",
    )
    parser.add_argument(
        "--peaks", type=int, default=PEAKS, metavar="N", help="detections per image (default %(default)s)"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="MODEL.onnx", help="file to write")
    args = parser.parse_args(argv)

    try:
        network, record = load_network(args.weights)
        pivot = pivot_from(record) if args.pivot else None
    except (FileNotFoundError, ValueError) as error:
        parser.error(str(error))
    signature = sign(record, network, args.role, args.size, args.peaks, pivot, "fixed" if args.fixed else "open")
    export(network, signature, args.output, pivot)
    width, height = args.size
    for size in [args.size] if args.fixed else [args.size, (width + 64, height + 32)]:
        report = verify(network, signature.at(size), args.output, pivot)
        print(report.table())
        if not report.passed:
            sys.exit(1)


def sign(
    record: dict[str, Any],
    network: TrackingNetwork,
    role: Role,
    input_wh: tuple[int, int],
    peaks: int = PEAKS,
    pivot: PivotFeatures | None = None,
    sizes: Sizes = "fixed",
) -> Signature:
    """What the export of a weights.pt, whose network this is, will say of itself."""
    recipe = record["recipe"]
    implicit: FeatureMapping = "ifm" if network.has_prior and recipe["mapping"] == "ifm" else "none"
    return Signature(
        role=role,
        height=input_wh[1],
        width=input_wh[0],
        peaks=peaks,
        embedding_dim=pivot.identities if pivot else network.embedding,
        pair=recipe["pair"],
        network=recipe["network"],
        mapping="efm" if pivot else implicit,
        prior=network.has_prior,
        commit=record["commit"],
        sizes=sizes,
    )


def export(network: TrackingNetwork, signature: Signature, path: Path, pivot: PivotFeatures | None = None) -> None:
    """Write the model file: any batch, sizes as the signature says, weights in fp16, metadata from the signature."""
    module = Deployed(network, signature.role, signature.peaks, pivot).eval()
    batch = torch.export.Dim("batch", min=1, max=64)
    shapes = tuple({0: batch} | axes for axes in _open_axes(signature))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns about itself
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            module,
            example_inputs(signature, batch=2),  # a batch of 1 would be specialised away
            input_names=list(signature.inputs),
            output_names=list(signature.outputs),
            dynamic_shapes=shapes if len(shapes) == 1 else {IMAGE: shapes[0], PRIOR: shapes[1]},
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("the ONNX exporter gave nothing back")
    model = program.model_proto
    written = next(entry.version for entry in model.opset_import if entry.domain == "")
    if written != OPSET:
        raise RuntimeError(f"asked for opset {OPSET}, the exporter wrote {written}")
    strip_origins(model)
    if signature.sizes == "open":
        name_axes(model)
    halve_weights(model)
    onnx.helper.set_model_props(model, signature.to_metadata())
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)


def _open_axes(signature: Signature) -> list[dict[int, Any]]:
    """Which axes of each input are open beside the batch, and what they are multiples of."""
    if signature.sizes == "fixed":
        return [{} for _ in signature.inputs]
    tall, wide = (torch.export.Dim(name, min=1, max=LARGEST // 32) for name in ("tall", "wide"))
    per_step = {IMAGE: 32, PRIOR: 32 // STRIDE}
    return [{2: per_step[name] * tall, 3: per_step[name] * wide} for name in signature.inputs]


def strip_origins(model: onnx.ModelProto) -> None:
    """Take out where in the source each node came from: a third of a small file, and paths of the machine."""
    graph = model.graph
    for item in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        item.doc_string = ""
        del item.metadata_props[:]


def example_inputs(signature: Signature, batch: int, seed: int = 0) -> tuple[Tensor, ...]:
    """Random tensors that fit the graph's inputs."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.randint(0, 256, (batch, 3, signature.height, signature.width), generator=generator, dtype=torch.uint8)
    prior = torch.rand((batch, 1, *signature.cells), generator=generator)
    return (image, prior) if signature.prior else (image,)


if __name__ == "__main__":
    main()
