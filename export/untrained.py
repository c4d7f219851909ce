"""Model files of a DLA pair for measuring speed, without training: its kernels take as long whatever the weights are.

    python -m export.untrained DIR

Writes dla-teacher, dla-student and dla-student-plain. Large weights repeat a short pattern, so that the files pack into
a hundredth of their size for a machine that cannot make them. Needs torch and onnxscript.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from edge.pipeline.config import parse_size
from engines.signature import Role, Signature
from export.to_onnx import export
from training.models.decode import PEAKS
from training.models.networks import build_network

PAIR = {"teacher": "dla34", "student": "dla34-half", "student-plain": "dla34-half"}
QUICK = {"teacher": "yolo-1/8", "student": "yolo-1/8", "student-plain": "yolo-1/8"}
"""For rehearsals: other networks under the same names."""
PATTERN = 4093
"""Numbers; a prime, so that no two channels are alike."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write what is not there yet."""
    parser = argparse.ArgumentParser(prog="python -m export.untrained", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--size", type=parse_size, default=(1088, 608), metavar="WxH", help="default 1088x608")
    parser.add_argument("--quick", action="store_true", help="small networks under these names, for a rehearsal")
    options = parser.parse_args(arguments)
    for path in write_pair(options.folder, options.size, QUICK if options.quick else PAIR):
        print(path)
    return 0


def write_pair(folder: Path, size: tuple[int, int], networks: Mapping[str, str] = PAIR) -> list[Path]:
    """Paths of the three model files; size: (width, height). Files that are there already stay."""
    paths = []
    for name, network_name in networks.items():
        path = folder / f"dla-{name}-{size[0]}x{size[1]}.onnx"
        paths.append(path)
        if path.is_file():
            continue
        role: Role = "teacher" if name == "teacher" else "student"
        torch.manual_seed(0)
        network = build_network(network_name, prior=name == "student", embedding=64)
        repeat_weights(network)
        signature = Signature(
            role=role,
            height=size[1],
            width=size[0],
            peaks=PEAKS,
            embedding_dim=network.embedding,
            pair="dla",
            network=network_name,
            prior=network.has_prior,
            commit="untrained",
        )
        export(network, signature, path)
    return paths


def repeat_weights(network: nn.Module) -> None:
    """Let every large tensor repeat its first numbers, in place; what a layer puts out stays as large as it was."""
    with torch.no_grad():
        for weights in network.parameters():
            if weights.numel() > PATTERN:
                short = weights.flatten()[:PATTERN]
                times = -(-weights.numel() // PATTERN)
                weights.copy_(short.repeat(times)[: weights.numel()].view_as(weights))


if __name__ == "__main__":
    sys.exit(main())
