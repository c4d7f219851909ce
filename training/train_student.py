"""Train a student beside a frozen teacher: with its heatmap as prior (AttTrack sections 4.2, 4.3), or layerwise.

python -m training.train_student training/recipes/yolo-student.toml --data /path/to/data \\
    --teacher runs/yolo-teacher/weights.pt --start runs/yolo-small/weights.pt --out runs/yolo-student
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.command import Pictures, run_command, training_parser
from training.data.samples import Pairs, Sizes
from training.models.heads import TrackingNetwork, with_prior, without_prior
from training.models.networks import build_network
from training.models.pyramid import PyramidStudent, PyramidTeacher
from training.placement import Placement, placed
from training.recipe import Recipe
from training.run import Run
from training.transfer import DenseTransfer, LayerwiseTransfer, PriorTransfer, Transfer
from training.weights import classifier_of, load_network, load_start


def main(argv: list[str] | None = None) -> None:
    """Build, loop, save; started again with the same `--out` it goes on where it was."""
    options = training_parser(__doc__)
    options.add_argument("--teacher", type=Path, required=True, help="weights.pt of the teacher's run")
    options.add_argument("--start", type=Path, help="weights.pt of the same width, plain or with prior")
    args = options.parse_args(argv)

    recipe = Recipe.read(args.recipe).scaled(args.share)
    with placed(args.device) as place:
        teacher, taught = load_network(args.teacher)
        student, begun = start_of(recipe, args.start, teacher)
        if student.has_prior != (recipe.transfer == "prior"):
            student = without_prior(student) if student.has_prior else with_prior(student)
        transfer = transfer_of(recipe)(teacher, place)
        with place.leader_first():
            pictures = Pictures.read(recipe, args, photos=bool(recipe.images))
        known = first_classifier(recipe, taught, begun, student.embedding, pictures.identities)
        run = Run(recipe, student, pictures.identities, args.out, place, pictures.facts(), known, args.save_every)
        run.network.train()
        for parts in run.steps(pairs(recipe, pictures, place.world), args.steps):
            run.learn(parts, partial(transfer.losses, run))


def start_of(recipe: Recipe, start: Path | None, teacher: TrackingNetwork) -> tuple[TrackingNetwork, dict[str, Any]]:
    """The network to begin with, and its record: a fresh pyramid student is its teacher.

    Raises ValueError where another kind of student has nothing to begin with.
    """
    if start is not None:
        return load_start(start, recipe)
    torch.manual_seed(recipe.seed)
    student = build_network(recipe.network)
    if not isinstance(student, PyramidStudent) or not isinstance(teacher, PyramidTeacher):
        raise ValueError(f"a {recipe.network} begins with weights of its own: give --start; train_plain makes some")
    student.begin(teacher)
    return student, {}


def transfer_of(recipe: Recipe) -> Callable[[TrackingNetwork, Placement], Transfer]:
    """The way that a recipe asks for."""
    if recipe.losses == "pyramid":
        return DenseTransfer
    return PriorTransfer if recipe.transfer == "prior" else LayerwiseTransfer


def first_classifier(
    recipe: Recipe, taught: dict[str, Any], begun: dict[str, Any], embedding: int, identities: dict[str, int]
) -> dict[str, Tensor] | None:
    """The identity classifier that a student begins with; None: a fresh one.

    The teacher's where embeddings are to become like its (ifm), or to meet in the space of identities (efm). Without
    mapping, or where the teacher's does not fit, its own of before.
    """
    theirs = classifier_of(taught, embedding, identities) if recipe.mapping != "none" else None
    return theirs or classifier_of(begun, embedding, identities)


def pairs(recipe: Recipe, pictures: Pictures, world: int) -> Pairs:
    """A target frame and its keyframe, as often as the recipe's steps need."""
    length = recipe.steps * recipe.batch * recipe.accumulate * world
    scale = recipe.scale_min, recipe.scale_max
    photo = np.array([False] * len(pictures.frames) + [True] * len(pictures.photos))
    share = recipe.image_share if photo.any() else 0.0
    weights = np.where(photo, share / max(photo.sum(), 1), (1 - share) / max((~photo).sum(), 1))
    return Pairs(
        [*pictures.frames, *pictures.photos],
        weights,
        Sizes(*recipe.all_sizes, recipe.batch, recipe.seed),
        length,
        recipe.seed,
        scale,
        recipe.zoom,
        recipe.max_gap,
        doubts=recipe.losses == "pyramid",
        as_is=recipe.as_is,
        mosaic=recipe.mosaic,
        colour=recipe.colour,
    )


if __name__ == "__main__":
    run_command("training.train_student", main)
