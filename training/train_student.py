"""Train a student beside a frozen teacher: with its heatmap as prior (AttTrack sections 4.2, 4.3), or layerwise.

python -m training.train_student training/recipes/yolo-student.toml --data /path/to/data \\
    --teacher runs/yolo-teacher/weights.pt --start runs/yolo-small/weights.pt --out runs/yolo-student
"""

import argparse
from pathlib import Path

import torch

from training.data.labelled import read_sequences
from training.data.samples import Pairs
from training.models.heads import with_prior
from training.recipe import Recipe
from training.run import Run
from training.transfer import LayerwiseTransfer, PriorTransfer, Transfer
from training.weights import classifier_of, load_network


def main(argv: list[str] | None = None) -> None:
    """Build, loop, save; started again with the same `--out` it goes on where it was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path, help="TOML file, see training/recipes")
    parser.add_argument("--data", type=Path, required=True, help="folder with sequences/")
    parser.add_argument("--teacher", type=Path, required=True, help="weights.pt of the teacher's run")
    parser.add_argument("--start", type=Path, required=True, help="weights.pt of the same width, plain or with prior")
    parser.add_argument("--out", type=Path, required=True, help="folder of this run: checkpoint, weights, facts")
    parser.add_argument("--steps", type=int, help="stop after so many steps in all (the schedule stays the recipe's)")
    args = parser.parse_args(argv)

    recipe = Recipe.read(args.recipe)
    frames, identities = read_sequences(
        [args.data / "sequences" / name for name in recipe.sequences], args.out.parent / "frames"
    )
    scale = recipe.scale_min, recipe.scale_max
    samples = Pairs(
        frames, recipe.input_wh, recipe.steps * recipe.batch, recipe.seed, scale, recipe.zoom, recipe.max_gap
    )
    teacher, record = load_network(args.teacher)
    teacher.requires_grad_(False)
    start = load_network(args.start)[0]
    if recipe.transfer == "prior":
        student = start if start.has_prior else with_prior(start)
        transfer: Transfer = PriorTransfer(teacher, recipe)
    else:
        student, transfer = start, LayerwiseTransfer(teacher)
    run = Run(recipe, student, identities, args.out, classifier_of(record, student.embedding, identities))
    run.network.train()
    for batch in run.batches(samples):
        with torch.autocast("cpu", torch.bfloat16):
            losses = transfer.losses(run, batch)
        run.learn(losses)
        if run.step == args.steps:
            run.save()
            break


if __name__ == "__main__":
    main()
