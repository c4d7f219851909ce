"""What a training run is made of, read from a TOML file and checked before anything starts."""

import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Recipe:
    """One run. Fields stand in the TOML file under the same names."""

    pair: str
    """Name shared by a teacher and its students."""
    network: str
    """Name in `training.models.networks`."""
    steps: int
    """Optimiser steps in all."""
    batch: int = 8
    accumulate: int = 1
    """Batches per optimiser step; as if they were one, but for batch norm."""
    learning_rate: float = 5e-4
    """Peak of Adam's learning rate; it rises over the first `warmup` steps and falls along a cosine to 1/50."""
    warmup: int = 200
    ema: float = 0.99
    """Decay of the averaged weights, which are the ones exported; 0 exports the last step's."""
    input_width: int = 576
    input_height: int = 320
    scale_min: float = 0.6
    scale_max: float = 1.25
    zoom: float = 2.0
    """Upper end of the zoomed views, so that larger inputs (1088x608) meet familiar sizes of people."""
    sequences: tuple[str, ...] = ()
    """Folders below DATA/sequences; their first halves are used."""
    images: tuple[str, ...] = ()
    """Folders below DATA/images."""
    image_share: float = 0.0
    """Share of samples from single images once pretraining is over."""
    pretrain_steps: int = 0
    """Steps at the beginning that see single images only."""
    transfer: str = "prior"
    """What a student gets from its teacher: prior (AttTrack) or layerwise (attention transfer, no second input)."""
    mapping: str = "none"
    """Feature mapping of a student with prior: none, ifm or efm (AttTrack section 4.3). efm begins with the teacher's
    identity classifier; export both networks with --pivot."""
    mimic: float = 1.0
    """Weight of IFM's loss."""
    max_gap: int = 11
    """Largest distance in frames from a keyframe to the target frame."""
    drop: float = 0.3
    """Probability that a teacher's blob is missing from the prior."""
    jitter: float = 0.06
    """Standard deviation of a blob's displacement after one frame, in box sides; it grows with the root of the gap."""
    still: float = 0.35
    """Probability that a person's velocity is unknown, so that the blob stays where it was."""
    spurious: float = 0.25
    """Probability per blob that a false one is added."""
    fade: float = 0.6
    """A blob, true or false, loses up to this share of its height."""
    blank: float = 0.15
    """Probability that the whole prior is zero."""
    seed: int = 1
    teacher: str = ""
    """Recipe file beside this one, without suffix, of the teacher that a student needs."""
    start: str = ""
    """Recipe file beside this one, without suffix, of the run whose weights this one begins with."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises ValueError that names the file and the offending entry."""
        with path.open("rb") as file:
            values: dict[str, Any] = tomllib.load(file)
        known = {f.name for f in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ValueError(f"{path}: unknown entries {unknown}; known are {sorted(known)}")
        for name in ("sequences", "images"):
            values[name] = tuple(values.get(name, ()))
        try:
            recipe = cls(**values)
        except TypeError as error:
            raise ValueError(f"{path}: {error}") from None
        for name in ("input_width", "input_height"):
            if getattr(recipe, name) % 32:
                raise ValueError(f"{path}: {name} must be a multiple of 32, got {getattr(recipe, name)}")
        for name in ("steps", "batch", "accumulate"):
            if getattr(recipe, name) < 1:
                raise ValueError(f"{path}: {name} must be at least 1, got {getattr(recipe, name)}")
        if not 0 <= recipe.ema < 1:
            raise ValueError(f"{path}: ema must be 0 (off) or below 1, got {recipe.ema}")
        if recipe.mapping not in ("none", "ifm", "efm"):
            raise ValueError(f"{path}: mapping must be 'none', 'ifm' or 'efm', got {recipe.mapping!r}")
        if recipe.transfer not in ("prior", "layerwise"):
            raise ValueError(f"{path}: transfer must be 'prior' or 'layerwise', got {recipe.transfer!r}")
        return recipe

    def scaled(self, share: float) -> Self:
        """The same run in `share` of its steps, warm-up and pretraining included; the learning rate falls sooner."""
        steps = max(1, round(self.steps * share))
        pretrain = min(round(self.pretrain_steps * share), steps - 1)
        return replace(self, steps=steps, pretrain_steps=pretrain, warmup=round(self.warmup * share))

    @property
    def input_wh(self) -> tuple[int, int]:
        """(width, height) of the network's input."""
        return self.input_width, self.input_height


def chain(recipe: Path) -> list[Path]:
    """The recipe files to train, in order, the given one last.

    Raises FileNotFoundError for a recipe that is not there, ValueError for one that needs itself or cannot be read.
    """
    ordered: list[Path] = []

    def add(path: Path, needed_by: tuple[Path, ...]) -> None:
        if path in needed_by:
            raise ValueError(f"{path} needs itself: {' -> '.join(one.stem for one in (*needed_by, path))}")
        if path in ordered:
            return
        read = Recipe.read(path)
        for name in (read.teacher, read.start):
            if name:
                add(path.with_name(f"{name}.toml"), (*needed_by, path))
        ordered.append(path)

    add(recipe, ())
    return ordered
