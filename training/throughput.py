"""How fast a recipe trains on this machine: samples per second of the loader alone, of the network alone, and of both.

python -m training.throughput training/recipes/yolo-teacher.toml --data /path/to/data --out runs/throughput --steps 20

The same samples are drawn each time, after a first pass that reads the pictures. A student learns beside a teacher that
knows nothing, which takes as long as one that does. Prints JSON and writes it to OUT/throughput.json.
"""

import json
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import torch
from torch import Tensor

from training.command import Pictures, parser
from training.data.samples import Samples
from training.models.networks import build_network
from training.placement import Placement, placed
from training.recipe import Recipe
from training.run import Losses, Run, commit
from training.train_plain import in_phases, plain_losses
from training.train_student import pairs
from training.transfer import LayerwiseTransfer, PriorTransfer, Transfer

HELD = 4
"""Batches that the network alone learns from in turn."""
WARM = 2
"""Steps before the clock starts, in which libraries choose their kernels."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A `Loader` that gives the same samples whatever is asked for."""

    loader: Loader
    batch: int
    steps: int

    def batches(self, wanted: Iterable[Sequence[int]] = ()) -> Iterator[dict[str, Tensor]]:
        """`steps` batches, and `WARM` before them."""
        return self.loader.batches([range(i * self.batch, (i + 1) * self.batch) for i in range(self.steps + WARM)])


@dataclass(frozen=True, slots=True)
class Held:
    """A `Loader` that costs nothing: batches at hand, in turn."""

    held: Sequence[dict[str, Tensor]]

    def batches(self, wanted: Iterable[Sequence[int]]) -> Iterator[dict[str, Tensor]]:
        """Without end."""
        return cycle(self.held)


def main(argv: list[str] | None = None) -> None:
    """Measure, print, write."""
    options = parser(__doc__)
    options.add_argument("--steps", type=int, default=20, help="timed, of each kind (default %(default)s)")
    args = options.parse_args(argv)
    if args.steps < 1:
        options.error(f"--steps must be at least 1, got {args.steps}")

    recipe = Recipe.read(args.recipe)
    recipe = replace(recipe, pretrain_steps=0, accumulate=1, steps=3 * (args.steps + WARM))
    teacher = Recipe.read(args.recipe.with_name(f"{recipe.teacher}.toml")).network if recipe.teacher else None
    with placed(args.device) as place, tempfile.TemporaryDirectory() as scratch:
        pictures = Pictures.read(recipe, args, photos=teacher is None)
        run, samples, losses = _training(recipe, teacher, pictures, place, Path(scratch))
        loader = Measured(open_loader(samples, place.device), recipe.batch, args.steps)
        result = {
            "recipe": args.recipe.stem,
            "network": recipe.network,
            "teacher": teacher,
            "input": f"{recipe.input_width}x{recipe.input_height}",
            "batch": recipe.batch,
            "steps": args.steps,
            "pictures": len(pictures.frames) + len(pictures.photos),
            **{name: round(value, 4) for name, value in _rates(run, loader, losses).items()},
            "device": torch.cuda.get_device_name(place.device) if place.device.type == "cuda" else "cpu",
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "commit": commit(),
        }
    text = json.dumps(result, indent=1)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "throughput.json").write_text(text + "\n")
    print(text)


def _training(
    recipe: Recipe, teacher: str | None, pictures: Pictures, place: Placement, scratch: Path
) -> tuple[Run, Samples, Losses]:
    """What `train_plain` or, where there is a teacher, `train_student` would set up."""
    fused = teacher is not None and recipe.transfer == "prior"
    network = build_network(recipe.network, prior=fused)
    run = Run(recipe, network.train(), pictures.identities, scratch, place, save_every_s=float("inf"))
    if teacher is None:
        return run, in_phases(recipe, pictures, place.world), plain_losses(run)
    kind = PriorTransfer if fused else LayerwiseTransfer
    transfer: Transfer = kind(build_network(teacher).eval(), place.device)
    return run, pairs(recipe, pictures, place.world), partial(transfer.losses, run)


def _rates(run: Run, loader: Measured, losses: Losses) -> dict[str, float]:
    """Samples per second, and the share of the time in which the network computes."""
    held = list(islice(loader.batches(), HELD))
    for batch in loader.batches():  # reads the pictures
        _wait(batch["image"])
    alone = _timed(loader.batches(), loader)
    network = _timed(_learning(run, Held(held), losses), loader)
    both = _timed(_learning(run, loader, losses), loader)
    return {
        "loader_samples_per_s": alone,
        "network_samples_per_s": network,
        "both_samples_per_s": both,
        "share_computing": min(both / network, 1.0),
    }


def _learning(run: Run, loader: Loader, losses: Losses) -> Iterator[dict[str, Tensor]]:
    """After each step, what to wait for to know that the network has learnt."""
    for parts in run.steps(loader):
        run.learn(parts, losses)
        yield {"image": next(run.network.parameters())}


def _timed(batches: Iterator[dict[str, Tensor]], loader: Measured) -> float:
    """Samples per second of `loader.steps` batches after the first `WARM`."""
    for batch in islice(batches, WARM):
        _wait(batch["image"])
    began_s = time.perf_counter()
    for batch in islice(batches, loader.steps):
        last = batch["image"]
    _wait(last)
    return loader.steps * loader.batch / (time.perf_counter() - began_s)


def _wait(tensor: Tensor) -> None:
    """Until the device has computed it and all before it."""
    tensor.flatten()[0].item()


if __name__ == "__main__":
    main()
