"""What the two training commands have in common: their options, and the labelled pictures of a recipe."""

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edge.tracking.mot_folders import data_folder, sequence_folder
from training.data.drawn import draw_sequences
from training.data.images import read_images
from training.data.labelled import LabelledImage
from training.data.motchallenge import read_sequences
from training.placement import DEVICES
from training.recipe import Recipe
from training.run import SAVE_EVERY_S


def run_command(name: str, main: Callable[[], None]) -> None:
    """Run a command; what is wrong with its files or data is one line, and its exit code 2."""
    try:
        main()
    except (OSError, ValueError) as error:
        print(f"python -m {name}: {error}", file=sys.stderr)
        sys.exit(2)


def all_below(folder: Path) -> list[Path]:
    """The folders in a folder, in the order of names; none where there is no such folder."""
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def training_options() -> argparse.ArgumentParser:
    """Options of every training: on which data, where, how long and how safely. A parent of other parsers."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--data", type=data_folder, required=True, help="folder with sequences/ and images/")
    options.add_argument("--device", choices=DEVICES, help="default: the GPU where there is one")
    options.add_argument("--present", action="store_true", help="do without sequences and images that DATA lacks")
    options.add_argument("--all", action="store_true", help="learn from all that DATA has, whatever the recipe names")
    options.add_argument("--share", type=float, default=1.0, help="share of the recipe's steps (default %(default)s)")
    options.add_argument(
        "--steps", type=int, help="stop after so many steps in all, at the recipe's rates (default: its steps)"
    )
    options.add_argument(
        "--save-every",
        type=float,
        default=SAVE_EVERY_S,
        metavar="S",
        help="seconds between two checkpoints (default %(default)s)",
    )
    return options


def as_words(args: argparse.Namespace) -> list[str]:
    """The command line that `training_options` reads as these."""
    words = ["--data", str(args.data), "--share", str(args.share), "--save-every", str(args.save_every)]
    words += ["--device", args.device] if args.device else []
    words += ["--steps", str(args.steps)] if args.steps is not None else []
    return words + [f"--{name}" for name in ("present", "all") if getattr(args, name)]


def training_parser(description: str | None) -> argparse.ArgumentParser:
    """The parser of one training: its recipe, its folder, and what all have."""
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        parents=[training_options()],
    )
    parser.add_argument("recipe", type=Path, help="TOML file, see training/recipes")
    parser.add_argument("--out", type=Path, required=True, help="folder of this run: checkpoint, weights, facts")
    return parser


@dataclass(frozen=True, slots=True)
class Pictures:
    """What a recipe trains on."""

    frames: list[LabelledImage]
    identities: dict[str, int]
    """How many each sequence has, in the order in which they are counted."""
    photos: list[LabelledImage]
    photos_by_folder: dict[str, int]
    """How many there are of each folder of images."""
    missing: list[str]
    """Sequences and folders of images that the recipe names and DATA lacks."""

    @classmethod
    def read(cls, recipe: Recipe, args: argparse.Namespace, photos: bool) -> "Pictures":
        """Read the labels; frames of videos are unpacked beside the run, once for all.

        `photos`: also single images. A recipe that names neither sequences nor images learns from all that DATA has.
        Raises FileNotFoundError, ValueError where data are missing or broken.
        """
        if not args.data.is_dir():
            raise FileNotFoundError(f"there is no folder {args.data}; DATA holds sequences/ or images/, or both")
        named = not args.all and bool(recipe.sequences or recipe.images)
        sequences = [sequence_folder(args.data / "sequences", name) for name in recipe.sequences]
        folders = [args.data / "images" / name for name in recipe.images]
        if not named:
            sequences, folders = all_below(args.data / "sequences"), all_below(args.data / "images")
        folders = folders if photos or not named else []
        missing = [folder.name for folder in (*sequences, *folders) if args.present and not folder.is_dir()]
        frames, identities = read_sequences(
            [folder for folder in sequences if folder.name not in missing], args.out.parent / "frames"
        )
        drawn, people = draw_sequences(recipe.drawn, sum(identities.values()), args.out.parent / "frames")
        frames, identities = [*frames, *drawn], {**identities, **people}
        images = {folder.name: read_images([folder]) for folder in folders if folder.name not in missing}
        if not frames and not images:
            raise FileNotFoundError(
                f"{args.data / 'sequences'} has none of {', '.join(recipe.sequences)}"
                if recipe.sequences and named
                else f"{args.data} has neither sequences/NAME nor images/NAME to learn from"
            )
        by_folder = {name: len(found) for name, found in images.items()}
        return cls(frames, identities, list(chain.from_iterable(images.values())), by_folder, missing)

    def looks(self) -> Tensor:
        """(n, LOOKS) every appearance that the labels hold; (0, 1) and a line about it where they hold none.

        Raises ValueError where there are some, but too few to learn from.
        """
        rows = [image.looks for image in (*self.frames, *self.photos) if image.looks is not None]
        looks = torch.from_numpy(np.concatenate(rows)) if rows else torch.empty(0, 1)
        looks = looks[looks[:, 0].isfinite()]
        if len(looks) == 0:
            print(
                "labels hold no appearances: embeddings learn from identities alone; python -m training.label adds them"
            )
        elif len(looks) < 1000:
            raise ValueError(
                f"labels hold {len(looks)} appearances, 1000 are needed; write them: training.label --help"
            )
        return looks

    def facts(self) -> dict[str, Any]:
        """For the record of a run: frames and identities by sequence, pictures by folder, and what was missing."""
        frames = Counter(frame.sequence for frame in self.frames)
        return {
            "sequences": {name: {"frames": frames[name], "identities": self.identities[name]} for name in frames},
            "images": self.photos_by_folder,
            "missing": self.missing,
        }
