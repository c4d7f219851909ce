"""Train one network alone: the teacher, or a smaller net as baseline and as the student's start.

python -m training.train_plain training/recipes/yolo-teacher.toml --data /path/to/data --out runs/yolo-teacher
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import ConcatDataset

from training.data.labelled import LabelledImage, read_images, read_sequences
from training.data.samples import Sample, Views
from training.losses import tracking_losses
from training.models.networks import build_network
from training.recipe import Recipe
from training.run import Run
from training.weights import classifier_of, load_network


def main(argv: list[str] | None = None) -> None:
    """Build, loop, save; started again with the same `--out` it goes on where it was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path, help="TOML file, see training/recipes")
    parser.add_argument("--data", type=Path, required=True, help="folder with sequences/ and images/")
    parser.add_argument("--out", type=Path, required=True, help="folder of this run: checkpoint, weights, facts")
    parser.add_argument("--start", type=Path, help="weights.pt to begin with, such as models/weights/yolo-teacher.pt")
    parser.add_argument("--steps", type=int, help="stop after so many steps in all (the schedule stays the recipe's)")
    args = parser.parse_args(argv)

    recipe = Recipe.read(args.recipe)
    frames, identities = read_sequences(
        [args.data / "sequences" / name for name in recipe.sequences], args.out.parent / "frames"
    )
    photos = read_images([args.data / "images" / name for name in recipe.images])
    samples: ConcatDataset[Sample] = ConcatDataset(_phases(recipe, frames, photos))
    if args.start:
        network, record = load_network(args.start)
        run = Run(recipe, network, identities, args.out, classifier_of(record, network.embedding, identities))
    else:
        run = Run(recipe, build_network(recipe.network), identities, args.out)
    run.network.train()
    for batch in run.batches(samples):
        image = (batch["image"].float() / 255).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            maps = run.network(image)
        run.learn(tracking_losses(maps, batch, run.classifier))
        if run.step == args.steps:
            run.save()
            break


def _phases(recipe: Recipe, frames: list[LabelledImage], photos: list[LabelledImage]) -> list[Views]:
    """Pretraining on single images, then sequences with a share of single images."""
    photo = np.array([False] * len(frames) + [True] * len(photos))
    share = recipe.image_share if photo.any() else 0.0
    mixed = np.where(photo, share / max(photo.sum(), 1), (1 - share) / max((~photo).sum(), 1))
    pretrain = recipe.pretrain_steps if photo.any() else 0
    lengths = [(pretrain * recipe.batch, photo.astype(np.float64)), ((recipe.steps - pretrain) * recipe.batch, mixed)]
    scale = recipe.scale_min, recipe.scale_max
    return [
        Views([*frames, *photos], weights, recipe.input_wh, length, recipe.seed + phase, scale, recipe.zoom)
        for phase, (length, weights) in enumerate(lengths)
        if length
    ]


if __name__ == "__main__":
    main()
