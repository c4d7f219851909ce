"""Train the student with prior beside a frozen teacher (AttTrack sections 4.2 and 4.3).

python -m training.train_student training/recipes/yolo-student.toml --data /path/to/data \\
    --teacher runs/yolo-teacher/weights.pt --start runs/yolo-small/weights.pt --out runs/yolo-student
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from training.data.labelled import read_sequences
from training.data.samples import Pairs
from training.losses import mimic_loss, tracking_losses
from training.models.decode import PEAKS, decode
from training.models.folded import Folded
from training.models.yolo import with_prior
from training.priors import make_priors
from training.recipe import Recipe
from training.run import Run
from training.weights import load_network


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
    teacher = Folded(load_network(args.teacher)[0]).requires_grad_(False).bfloat16()
    teacher = teacher.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    start = load_network(args.start)[0]
    student = start if start.has_prior else with_prior(start, recipe.width)
    run = Run(recipe, student, identities, args.out)
    run.network.train()
    for batch in run.batches(samples):
        image = batch["image"].float().contiguous(memory_format=torch.channels_last)
        key_image = batch["key_image"].bfloat16().contiguous(memory_format=torch.channels_last)
        rng = np.random.default_rng((recipe.seed, run.step))
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                decoded = decode(teacher(key_image), PEAKS)
            gaps, counts = batch["gap"].tolist(), batch["key_count"].tolist()
            boxes, velocity = batch["key_xyxy"].numpy(), batch["key_velocity"].numpy()
            prior = torch.from_numpy(make_priors(decoded, boxes, velocity, counts, gaps, recipe, rng))
            maps = run.network(image / 255, prior)
            losses = tracking_losses(maps, batch, run.classifier)
            if recipe.mapping == "ifm":
                with torch.no_grad():
                    example = teacher(image.bfloat16())["id"]
                losses["mimic"] = mimic_loss(maps["id"], example, batch["cells"], batch["mask"])
                losses["total"] = losses["total"] + losses["mimic"]
        run.learn(losses)
        if run.step == args.steps:
            run.save()
            break


if __name__ == "__main__":
    main()
