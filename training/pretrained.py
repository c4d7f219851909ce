"""The pyramid teacher from the weights of person-detection-0303, so that training begins with what that has seen.

python -m training.pretrained person-detection-0303-folded.npz --pictures images/ --out runs/pyramid-begun

The file holds the detector's convolutions with batch norms folded in, under the names of its published graph. Its group
norms depend on the picture. Here each becomes the affine map that it is on average over some pictures, level by level,
and is folded into the convolution before it. Untrained, that costs little in ranking (AP50 75.8 instead of 76.1 on the
second halves of eight sequences), but scores of dark pictures come out lower; training brings them back.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from edge.arrays import F32
from training.checkpoint import save_checkpoint
from training.data.warp import Warp
from training.models.pyramid import LEVELS, Level, PyramidTeacher

GROUPS, EPSILON = 32, 1e-5
"""Of the detector's group norms."""
STEM = (6, 10, 14, 18)
BLOCKS = (19, 28, 38, 47, 57, 67, 76, 86, 96, 106, 115, 125, 135, 144, 154, 164)
"""Numbers of the convolutions in the published graph: of the stem, and of each block's first (the next are +4, +8)."""
LATERAL, SMOOTH = (173, 174, 175), (216, 217, 218)
WHO, WHERE = (222, 233, 244, 255), (266, 277, 288, 299)
SCORE, CENTRED = 310, 314
BOX = ("Multiply_46070", "Multiply_46074", "Multiply_46078")
"""The last convolution of the boxes, with each level's scale multiplied in."""
SIZES = ((576, 320), (832, 480))
"""Input sizes at which the norms are averaged."""

Weights = dict[str, F32]


def main(argv: list[str] | None = None) -> None:
    """Write weights.pt, which a recipe can begin with."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("npz", type=Path, help="person-detection-0303-folded.npz")
    options.add_argument("--pictures", type=Path, nargs="+", required=True, help="folders to average the norms over")
    options.add_argument("--count", type=int, default=160, help="pictures to use in all (default %(default)s)")
    options.add_argument("--out", type=Path, required=True, help="folder that gets weights.pt")
    args = options.parse_args(argv)
    with np.load(args.npz) as file:
        weights = {name: file[name] for name in file.files}
    paths = [path for folder in args.pictures for path in sorted(folder.rglob("*.jpg"))]
    if not paths:
        options.error(f"no *.jpg below {', '.join(map(str, args.pictures))}")
    chosen = paths[:: max(1, len(paths) // args.count)]
    network = begin(weights, _inputs(tqdm(chosen, desc="averaging the norms", unit="picture")))
    save_checkpoint(args.out / "weights.pt", record_of(network))


def record_of(network: PyramidTeacher) -> dict[str, Any]:
    """What a weights.pt holds, of a network that no run has trained."""
    recipe = {"pair": "pyramid", "network": "pyramid", "mapping": "none"}
    return {"network": network.state_dict(), "recipe": recipe, "commit": "", "step": 0, "identities": {}}


@torch.no_grad()
def begin(weights: Weights, inputs: Iterable[Tensor]) -> PyramidTeacher:
    """A network that answers as the detector; `inputs`: pictures (1, 3, H, W) RGB in 0..1 for the norms' averages."""
    torch.manual_seed(0)
    network = PyramidTeacher().eval()
    body = network.backbone
    for conv, number in zip(body.stem, STEM, strict=True):
        _put(conv.get_submodule("0"), weights, number)
    network.first.weight.copy_(network.first.weight.flip(1))  # it was trained on BGR
    for block, first in zip(body.blocks, BLOCKS, strict=True):
        for conv, number in zip(block, (first, first + 4, first + 8), strict=True):  # type: ignore[call-overload]
            _put(conv.get_submodule("0"), weights, number)
    for convs, numbers in ((network.lateral, LATERAL), (network.smooth, SMOOTH)):
        for conv, number in zip(convs, numbers, strict=True):
            _put(conv, weights, number)
    for level, box in zip(network.levels, BOX, strict=True):
        _put_answers(level, weights, box)  # type: ignore[arg-type]
    norms = [[Norms(weights, numbers) for numbers in (WHO, WHERE)] for _ in LEVELS]
    for picture in inputs:
        for feature, towers in zip(pyramid_of(network, picture), norms, strict=True):
            for tower in towers:
                tower.see(feature)
    for level, (who, where) in zip(network.levels, norms, strict=True):
        who.fold_into(level.who)  # type: ignore[arg-type]
        where.fold_into(level.where)  # type: ignore[arg-type]
    return network


def pyramid_of(network: PyramidTeacher, image: Tensor) -> list[Tensor]:
    """The features (1, 64, h, w) that the towers see, finest first."""
    seen: list[Tensor] = []
    hooks = [level.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0])) for level in network.levels]
    network(image)
    for hook in hooks:
        hook.remove()
    return seen


class Norms:
    """One tower of the detector as published, which remembers what its group norms have seen."""

    def __init__(self, weights: Weights, numbers: tuple[int, ...]) -> None:
        self.convs = [(_tensor(weights, f"Conv_{n}.weight"), _bias(weights, f"Conv_{n}", 64)) for n in numbers]
        self.affine = [(_tensor(weights, f"GN_{n}.weight"), _tensor(weights, f"GN_{n}.bias")) for n in numbers]
        self.sums = torch.zeros(len(numbers), 2, GROUPS)
        self.count = 0

    def see(self, x: Tensor) -> None:
        """x: (1, 64, h, w)."""
        self.count += 1
        for row, (conv, affine) in zip(self.sums, zip(self.convs, self.affine, strict=True), strict=True):
            x = functional.conv2d(x, *conv, padding=1)
            groups = x.reshape(GROUPS, -1)
            row += torch.stack((groups.mean(1), groups.square().mean(1)))
            x = functional.relu(functional.group_norm(x, GROUPS, *affine, eps=EPSILON))

    def fold_into(self, tower: nn.Sequential) -> None:
        """Give the tower's convolutions what these convolutions and norms do on average."""
        mean, square = (self.sums / self.count).repeat_interleave(64 // GROUPS, 2).unbind(1)
        deviation = (square - mean.square() + EPSILON).sqrt()
        layers = [layer for layer in tower if isinstance(layer, nn.Conv2d)]
        for number, layer in enumerate(layers):
            (weight, bias), (gain, shift) = self.convs[number], self.affine[number]
            factor = gain / deviation[number]
            layer.weight.copy_(weight * factor[:, None, None, None])
            layer.bias.copy_((bias - mean[number]) * factor + shift)  # type: ignore[union-attr]


def _inputs(paths: Iterable[Path]) -> Iterable[Tensor]:
    for number, path in enumerate(paths):
        size = SIZES[number % len(SIZES)]
        bgr = cv2.imread(str(path))
        if bgr is None:
            raise OSError(f"cannot read {path} as a picture")
        warp = Warp()
        pixels = warp.image(bgr.astype(np.uint8, copy=False), warp.matrix((bgr.shape[1], bgr.shape[0]), size), size)
        yield torch.from_numpy(pixels)[None] / 255


def _put_answers(level: Level, weights: Weights, box: str) -> None:
    """Of the detector's two classes the first is the person."""
    level.score.weight.copy_(_tensor(weights, f"Conv_{SCORE}.weight")[:1])
    level.score.bias.copy_(_bias(weights, f"Conv_{SCORE}", 2)[:1])  # type: ignore[union-attr]
    names = f"Conv_{CENTRED}", box
    level.box.weight.copy_(torch.cat([_tensor(weights, f"{name}.weight") for name in names]))
    level.box.bias.copy_(torch.cat([_bias(weights, name, n) for name, n in zip(names, (1, 4), strict=True)]))  # type: ignore[union-attr]


def _put(conv: nn.Module, weights: Weights, number: int) -> None:
    if not isinstance(conv, nn.Conv2d):
        raise TypeError(f"expected a convolution, got {type(conv).__name__}")
    conv.weight.copy_(_tensor(weights, f"Conv_{number}.weight").reshape(conv.weight.shape))
    conv.bias.copy_(_bias(weights, f"Conv_{number}", conv.out_channels))  # type: ignore[union-attr]


def _bias(weights: Weights, name: str, channels: int) -> Tensor:
    return _tensor(weights, f"{name}.bias").reshape(-1) if f"{name}.bias" in weights else torch.zeros(channels)


def _tensor(weights: Weights, name: str) -> Tensor:
    return torch.from_numpy(weights[name].astype(np.float32))


if __name__ == "__main__":
    main()
