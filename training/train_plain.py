"""Train one network alone: the teacher, or a smaller net as baseline and as the student's start.

python -m training.train_plain training/recipes/yolo-teacher.toml --data /path/to/data --out runs/yolo-teacher
"""

from pathlib import Path

import numpy as np
import torch

from training.command import Pictures, run_command, training_parser
from training.data.samples import InPhases, Shots, Sizes
from training.dense import basis_of, pyramid_losses
from training.losses import Counts, tracking_losses
from training.models.networks import build_network
from training.placement import placed
from training.recipe import Recipe
from training.run import Losses, Run
from training.transfer import pixels
from training.weights import classifier_of, load_start


def main(argv: list[str] | None = None) -> None:
    """Build, loop, save; started again with the same `--out` it goes on where it was."""
    options = training_parser(__doc__)
    options.add_argument("--start", type=Path, help="weights.pt to begin with, such as models/weights/yolo-teacher.pt")
    args = options.parse_args(argv)

    recipe = Recipe.read(args.recipe).scaled(args.share)
    with placed(args.device) as place:
        with place.leader_first():
            pictures = Pictures.read(recipe, args, photos=True)
        known = None
        torch.manual_seed(recipe.seed)
        if args.start:
            network, record = load_start(args.start, recipe)
            known = classifier_of(record, network.embedding, pictures.identities)
        else:
            network = build_network(recipe.network)
        run = Run(recipe, network, pictures.identities, args.out, place, pictures.facts(), known, args.save_every)
        run.network.train()
        losses_of = plain_losses(run) if recipe.losses == "fairmot" else dense_losses(run, pictures)
        for parts in run.steps(in_phases(recipe, pictures, place.world), args.steps):
            run.learn(parts, losses_of)


def plain_losses(run: Run) -> Losses:
    """The labels are all that it learns from."""

    def losses_of(batch: dict[str, torch.Tensor], counts: Counts) -> dict[str, torch.Tensor]:
        with run.place.autocast():
            maps = run.network(pixels(batch["image"]) / 255)
        return tracking_losses(maps, batch, run.classifier, counts)

    return losses_of


def dense_losses(run: Run, pictures: Pictures) -> Losses:
    """The losses of the pyramid pair (see `training.dense`)."""
    basis = basis_of(pictures.looks(), run.network.embedding).to(run.place.device)

    def losses_of(batch: dict[str, torch.Tensor], counts: Counts) -> dict[str, torch.Tensor]:
        with run.place.autocast():
            maps = run.network(pixels(batch["image"]) / 255)
        return pyramid_losses(maps, batch, run.classifier, counts, basis)

    return losses_of


def in_phases(recipe: Recipe, pictures: Pictures, world: int) -> InPhases:
    """Pretraining on single images, then sequences with a share of single images."""
    frames, photos = pictures.frames, pictures.photos
    photo = np.array([False] * len(frames) + [True] * len(photos))
    share = recipe.image_share if photo.any() else 0.0
    mixed = np.where(photo, share / max(photo.sum(), 1), (1 - share) / max((~photo).sum(), 1))
    pretrain = recipe.pretrain_steps if photo.any() else 0
    phases = [(pretrain, photo.astype(np.float64)), (recipe.steps - pretrain, mixed)]
    scale = recipe.scale_min, recipe.scale_max
    each = recipe.batch * recipe.accumulate * world
    return InPhases(
        [
            Shots(
                [*frames, *photos],
                weights,
                Sizes(*recipe.all_sizes, recipe.batch, recipe.seed),
                steps * each,
                recipe.seed + phase,
                scale,
                recipe.zoom,
                recipe.mosaic,
                doubts=recipe.losses == "pyramid",
                colour=recipe.colour,
            )
            for phase, (steps, weights) in enumerate(phases)
            if steps
        ]
    )


if __name__ == "__main__":
    run_command("training.train_plain", main)
