"""Train a student beside a frozen teacher: with its heatmap as prior (AttTrack sections 4.2, 4.3), or layerwise.

python -m training.train_student training/recipes/yolo-student.toml --data /path/to/data \\
    --teacher runs/yolo-teacher-longer/weights.pt --start runs/yolo-small-longer/weights.pt --out runs/yolo-student
"""

from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from training.command import Pictures, training_parser
from training.data.loader import open_loader
from training.data.samples import Pairs
from training.models.heads import with_prior
from training.placement import placed
from training.recipe import Recipe
from training.run import Run
from training.transfer import LayerwiseTransfer, PriorTransfer, Transfer
from training.weights import classifier_of, load_network, load_start


def main(argv: list[str] | None = None) -> None:
    """Build, loop, save; started again with the same `--out` it goes on where it was."""
    options = training_parser(__doc__)
    options.add_argument("--teacher", type=Path, required=True, help="weights.pt of the teacher's run")
    options.add_argument("--start", type=Path, required=True, help="weights.pt of the same width, plain or with prior")
    args = options.parse_args(argv)

    recipe = Recipe.read(args.recipe).scaled(args.share)
    with placed(args.device) as place:
        teacher, taught = load_network(args.teacher)
        start, begun = load_start(args.start, recipe)
        if recipe.transfer == "prior":
            student = start if start.has_prior else with_prior(start)
            transfer: Transfer = PriorTransfer(teacher, place.device)
        else:
            student, transfer = start, LayerwiseTransfer(teacher, place.device)
        with place.leader_first():
            pictures = Pictures.read(recipe, args, photos=False)
        known = first_classifier(recipe, taught, begun, student.embedding, pictures.identities)
        run = Run(recipe, student, pictures.identities, args.out, place, pictures.facts(), known, args.save_every)
        loader = open_loader(pairs(recipe, pictures, place.world), place.device)
        run.network.train()
        for parts in run.steps(loader, args.steps):
            run.learn(parts, partial(transfer.losses, run))


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
    return Pairs(pictures.frames, recipe.input_wh, length, recipe.seed, scale, recipe.zoom, recipe.max_gap)


if __name__ == "__main__":
    main()
