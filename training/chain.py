"""Train a recipe and, before it, the teacher and the start that it names, as far as they are not trained yet.

example:
  atttrack train training/recipes/paper/mot17/yolo-atttrack-efm.toml --data /path/to/data --runs runs/mot17

Each run gets a folder below `--runs`, named after its recipe. Started again, it goes on where it was.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from training import train_plain, train_student
from training.command import as_words, run_command, training_options
from training.recipe import SHIPPED, Recipe, chain, start_weights
from training.stages import in_processes

SCALED = ("steps", "warmup", "pretrain_steps")


def main(argv: list[str] | None = None) -> None:
    """One training after the other."""
    parser = argparse.ArgumentParser(
        prog="atttrack train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        parents=[training_options()],
    )
    parser.add_argument("recipe", type=Path, help="TOML file, see training/recipes")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the runs' folders")
    parser.add_argument(
        "--processes",
        type=int,
        default=1,
        metavar="N",
        help="of each training, of one thread (default %(default)s)",
    )
    args = parser.parse_args(argv)
    try:
        recipes = chain(args.recipe, args.runs)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    for path in recipes:
        run = args.runs / path.stem
        if finished(run):
            other = changed(run, Recipe.read(path))
            note = f", but with another {', '.join(other)}; delete {run} to train it anew" if other else ""
            print(f"{path.stem}: trained already{note}")
        else:
            train(path, args.runs, as_words(args), args.processes)


def finished(run: Path) -> bool:
    """Whether a run's folder holds the weights of its last step."""
    facts = run / "facts.json"
    if not facts.exists():
        return False
    record = json.loads(facts.read_text())
    return bool(record["step"] >= record["recipe"]["steps"])


def changed(run: Path, recipe: Recipe) -> list[str]:
    """Entries in which a trained run's recipe differs from this one, but for those that --share scales."""
    trained = json.loads((run / "facts.json").read_text())["recipe"]
    now = json.loads(json.dumps(asdict(recipe)))
    return [name for name, value in trained.items() if name not in SCALED and now.get(name) != value]


def train(path: Path, runs: Path, others: list[str], processes: int = 1) -> None:
    """One recipe, whose teacher and start are trained. Ends the program where several processes could not."""
    recipe = Recipe.read(path)
    arguments = [str(path), "--out", str(runs / path.stem), *others]
    if recipe.teacher:
        arguments += ["--teacher", str(runs / recipe.teacher / "weights.pt")]
    if recipe.start:
        start = start_weights(path, recipe, runs)
        if start.is_relative_to(SHIPPED):
            print(
                f"{path.stem}: there is no {recipe.start} in {runs}; training goes on from the shipped {start.name}",
                flush=True,
            )
        arguments += ["--start", str(start)]
    program = train_student if recipe.teacher else train_plain
    if processes == 1:
        program.main(arguments)
        return
    launch = [sys.executable, "-m", *in_processes(processes)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}  # on two cores: twice what one process with two threads does
    if code := subprocess.run([*launch, program.__name__, *arguments], env=environment, check=False).returncode:  # noqa: S603
        sys.exit(code)


if __name__ == "__main__":
    run_command("training.chain", main)
