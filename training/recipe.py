"""What a training run is made of, read from a TOML file and checked before anything starts."""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from math import inf
from pathlib import Path
from typing import Any, Self

RANGES: tuple[tuple[tuple[str, ...], str, Callable[[Any], bool]], ...] = (
    (("steps", "batch", "accumulate", "max_gap"), "at least 1", lambda n: n >= 1),
    (("warmup", "pretrain_steps", "seed"), "at least 0", lambda n: n >= 0),
    (("input_width", "input_height"), "a multiple of 32 above 0", lambda n: n > 0 and n % 32 == 0),
    (("learning_rate", "mimic", "jitter"), "a number of at least 0", lambda x: 0 <= x < inf),
    (("scale_min", "scale_max", "zoom"), "a number above 0", lambda x: 0 < x < inf),
    (("image_share", "drop", "still", "spurious", "fade", "blank"), "in 0..1", lambda x: 0 <= x <= 1),
    (("drawn",), "at least 0", lambda n: n >= 0),
    (("losses",), "'fairmot' or 'pyramid'", ("fairmot", "pyramid").__contains__),
    (("slow", "mosaic"), "in 0..1", lambda x: 0 <= x <= 1),
    (("ema",), "0 (off) or below 1", lambda x: 0 <= x < 1),
    (("transfer",), "'prior', 'layerwise' or 'dense'", ("prior", "layerwise", "dense").__contains__),
    (("mapping",), "'none', 'ifm' or 'efm'", ("none", "ifm", "efm").__contains__),
)
"""Entries, what each of them must be, and whether a value of the right type is."""
KINDS: dict[Any, tuple[str, Callable[[Any], bool]]] = {
    str: ("a text", lambda value: type(value) is str),
    int: ("a whole number", lambda value: type(value) is int),
    float: ("a number", lambda value: type(value) in (int, float)),
    tuple[str, ...]: ("a list of texts", lambda v: type(v) is list and all(type(one) is str for one in v)),
}
"""What an entry of a field's type is in a TOML file, and whether a value is that."""


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
    sizes: tuple[str, ...] = ()
    """Further input sizes WIDTHxHEIGHT:SHARE that batches are drawn at; the rest have input_width x input_height."""
    mosaic: float = 0.0
    """Share of single views that show four pictures at half their size."""
    losses: str = "fairmot"
    """fairmot, or pyramid: scores as high as the labels are sure, boxes by overlap, embeddings by example."""
    slow: float = 0.1
    """Learning rate of what a pretrained network brings along, as a share of the others'."""
    drawn: int = 0
    """Drawn scenes to learn from, beside the sequences."""
    sequences: tuple[str, ...] = ()
    """Folders below DATA/sequences; their first halves are used."""
    images: tuple[str, ...] = ()
    """Folders below DATA/images."""
    image_share: float = 0.0
    """Share of samples from single images once pretraining is over."""
    pretrain_steps: int = 0
    """Steps at the beginning that see single images only."""
    transfer: str = "prior"
    """What a student gets from its teacher: prior (AttTrack), layerwise (attention transfer, no second input)
    or dense (none: all that it answers is an example, as it is beside prior with the pyramid's losses)."""
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
        for entry in fields(cls):
            expected, fits = KINDS[entry.type]
            if entry.name in values and not fits(values[entry.name]):
                raise ValueError(f"{path}: {entry.name} must be {expected}, got {values[entry.name]!r}")
        for name in ("sequences", "images", "sizes"):
            values[name] = tuple(values.get(name, ()))
        try:
            recipe = cls(**values)
        except TypeError as error:
            raise ValueError(f"{path}: {error}") from None
        if wrong := recipe._wrong():
            raise ValueError(f"{path}: {wrong}")
        return recipe

    def _wrong(self) -> str:
        """What is wrong with the values, and what to do about it; empty: nothing."""
        for names, expected, fits in RANGES:
            for name in names:
                if not fits(value := getattr(self, name)):
                    return f"{name} must be {expected}, got {value!r}"
        if self.warmup > self.steps:
            return (
                f"warmup must be at most steps ({self.steps}), got {self.warmup}; set warmup, which is 200 unless told"
            )
        if self.pretrain_steps >= self.steps:
            return f"pretrain_steps must be below steps ({self.steps}), got {self.pretrain_steps}; sequences follow it"
        if self.scale_min > self.scale_max:
            return f"scale_min must be at most scale_max ({self.scale_max}), got {self.scale_min}"
        return ""

    def scaled(self, share: float) -> Self:
        """The same run in `share` of its steps, warm-up and pretraining included; the learning rate falls sooner."""
        steps = max(1, round(self.steps * share))
        pretrain = min(round(self.pretrain_steps * share), steps - 1)
        return replace(self, steps=steps, pretrain_steps=pretrain, warmup=round(self.warmup * share))

    @property
    def all_sizes(self) -> tuple[tuple[tuple[int, int], ...], tuple[float, ...]]:
        """(width, height) of every input size, and how often each is drawn."""
        further = [entry.partition(":") for entry in self.sizes]
        wh = [tuple(int(side) for side in size.split("x")) for size, _, _ in further]
        share = [float(part) for _, _, part in further]
        return (self.input_wh, *((width, height) for width, height in wh)), (1 - sum(share), *share)

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
