"""What a training run is made of, read from a TOML file and checked before anything starts.

A file may begin with others: `base = "name"`, or a list of names, of files beside it or in a folder, without suffix.
Their entries hold unless it, or a later one of the list, has others. Files whose names begin with _ are bases alone.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias, get_args

from pydantic import AfterValidator, ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass


def _multiple_of_32(value: int) -> int:
    if value <= 0 or value % 32:
        raise ValueError
    return value


AtLeast1: TypeAlias = Annotated[int, Field(ge=1, description="at least 1")]
AtLeast0: TypeAlias = Annotated[int, Field(ge=0, description="at least 0")]
Side: TypeAlias = Annotated[int, AfterValidator(_multiple_of_32), Field(description="a multiple of 32 above 0")]
NotNegative: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False, description="a number of at least 0")]
Positive: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False, description="a number above 0")]
Share: TypeAlias = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, description="in 0..1")]
Decay: TypeAlias = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False, description="0 (off) or below 1")]
SHIPPED = Path(__file__).resolve().parents[1] / "models" / "weights"
KINDS: Mapping[str, str] = {
    "string_type": "a text",
    "int_type": "a whole number",
    "float_type": "a number",
    "tuple_type": "a list of texts",
}
"""What an entry must be, by the kind of pydantic's complaint."""


@dataclass(frozen=True, slots=True, config=ConfigDict(strict=True, extra="forbid"))
class Recipe:
    """One run. Fields stand in the TOML file under the same names."""

    pair: str
    """Name shared by a teacher and its students."""
    network: str
    """Name in `training.models.networks`."""
    steps: AtLeast1
    """Optimiser steps in all."""
    batch: AtLeast1 = 8
    accumulate: AtLeast1 = 1
    """Batches per optimiser step; as if they were one, but for batch norm."""
    learning_rate: NotNegative = 5e-4
    """Peak of Adam's learning rate; it rises over the first `warmup` steps and falls along a cosine to 1/50."""
    warmup: AtLeast0 = 200
    ema: Decay = 0.99
    """Decay of the averaged weights, which are the ones exported; 0 exports the last step's."""
    input_width: Side = 576
    input_height: Side = 320
    scale_min: Positive = 0.6
    scale_max: Positive = 1.25
    zoom: Positive = 2.0
    """Upper end of the zoomed shots, so that larger inputs (1088x608) meet familiar sizes of people."""
    sizes: tuple[str, ...] = ()
    """Further input sizes WIDTHxHEIGHT:SHARE that batches are drawn at; the rest have input_width x input_height."""
    as_is: Share = 0.0
    """Share of a student's samples of sequences that are as the camera sees them: not turned, cut or coloured."""
    mosaic: Share = 0.0
    """Share of samples that show four pictures at half their size."""
    colour: Share = 0.5
    """By what share saturation and value change at most. Who has to tell people by their colours needs less."""
    losses: Literal["fairmot", "pyramid"] = "fairmot"
    """fairmot, or pyramid: scores as high as the labels are sure, boxes by overlap, embeddings by example."""
    only: tuple[str, ...] = ()
    """Parts of the network to train, by the beginning of their names; the rest stays as it was. Nothing: all of it."""
    slow: Share = 0.1
    """Learning rate of what a pretrained network brings along, as a share of the others'."""
    drawn: AtLeast0 = 0
    """Drawn scenes to learn from, beside the sequences."""
    sequences: tuple[str, ...] = ()
    """Folders below DATA/sequences; their first halves are used. Neither these nor `images`: all that DATA has."""
    images: tuple[str, ...] = ()
    """Folders below DATA/images."""
    image_share: Share = 0.0
    """Share of samples from single images once pretraining is over."""
    pretrain_steps: AtLeast0 = 0
    """Steps at the beginning that see single images only."""
    transfer: Literal["prior", "layerwise", "dense"] = "prior"
    """What a student gets from its teacher: prior (AttTrack), layerwise (attention transfer, no second input)
    or dense (none: all that it answers is an example, as it is beside prior with the pyramid's losses)."""
    mapping: Literal["none", "ifm", "efm"] = "none"
    """Feature mapping of a student with prior: none, ifm or efm (AttTrack section 4.3). efm begins with the teacher's
    identity classifier; export both networks with --pivot."""
    mimic: NotNegative = 1.0
    """Weight of IFM's loss."""
    max_gap: AtLeast1 = 11
    """Largest distance in frames from a keyframe to the target frame."""
    drop: Share = 0.3
    """Probability that a teacher's blob is missing from the prior."""
    jitter: NotNegative = 0.06
    """Standard deviation of a blob's displacement after one frame, in box sides; it grows with the root of the gap."""
    still: Share = 0.35
    """Probability that a person's velocity is unknown, so that the blob stays where it was."""
    spurious: Share = 0.25
    """Probability per blob that a false one is added."""
    fade: Share = 0.6
    """A blob, true or false, loses up to this share of its height."""
    blank: Share = 0.15
    """Probability that the whole prior is zero."""
    fog: Share = 0.0
    """Share of a student's pictures that only its teacher sees clearly (see `training.fog`)."""
    seed: AtLeast0 = 1
    teacher: str = ""
    """Recipe file beside this one, without suffix, of the teacher that a student needs."""
    start: str = ""
    """Recipe file beside this one, without suffix, of the run whose weights this one begins with."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises ValueError that names the file and the offending entry, FileNotFoundError where it is not there."""
        values = resolve(path)
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"{path}: unknown entries {unknown}; known are {sorted(known)}")
        entries: dict[str, Any] = {name: tuple(v) if type(v) is list else v for name, v in values.items()}
        try:
            recipe = cls(**entries)
        except ValidationError as error:
            raise ValueError(f"{path}: {_complaint(cls, error)}") from None
        if wrong := recipe._wrong():
            raise ValueError(f"{path}: {wrong}")
        return recipe

    def _wrong(self) -> str:
        """What is wrong with the values, and what to do about it; empty: nothing."""
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


def resolve(path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The entries of a recipe file over those of its bases. Raises as `Recipe.read`, also for bases in a circle."""
    if path in above:
        raise ValueError(f"{path} is its own base: {' -> '.join(one.stem for one in (*above, path))}")
    try:
        with path.open("rb") as file:
            values: dict[str, Any] = tomllib.load(file)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is no TOML: {error}") from None
    names = values.pop("base", [])
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{path}: base must be a text or a list of texts, got {names!r}")
    below: dict[str, Any] = {}
    for name in names:
        below |= resolve((path.parent / f"{name}.toml").resolve(), (*above, path))
    return below | values


def _complaint(recipe: type[Recipe], error: ValidationError) -> str:
    """The first of pydantic's complaints: entry, what it must be, what it is."""
    first = error.errors()[0]
    name, kind = str(first["loc"][0]), first["type"]
    if kind in ("missing", "missing_argument"):
        return f"{name} is missing"
    if len(first["loc"]) > 1:
        return f"{name} must be a list of texts, got an entry {first['input']!r}"
    field = next(f for f in fields(recipe) if f.name == name)
    if kind == "literal_error":
        *others, last = (repr(choice) for choice in get_args(field.type))
        expected = f"{', '.join(others)} or {last}"
    else:
        described = [m.description for m in getattr(field.type, "__metadata__", ()) if getattr(m, "description", None)]
        expected = KINDS.get(kind) or next(iter(described), str(first["msg"]))
    return f"{name} must be {expected}, got {first['input']!r}"


def start_weights(path: Path, recipe: Recipe, runs: Path) -> Path:
    """The weights that a recipe's `start` names: those of its run in `runs`.

    Where a teacher's start is neither there nor trained by a recipe, the weights that are shipped for its pair.
    """
    made, shipped = runs / recipe.start / "weights.pt", SHIPPED / f"{recipe.pair}-teacher.pt"
    known = recipe.teacher or made.exists() or path.with_name(f"{recipe.start}.toml").exists()
    return made if known or not shipped.exists() else shipped


def chain(recipe: Path, runs: Path | None = None) -> list[Path]:
    """The recipe files to train, in order, the given one last.

    A start whose weights lie in `runs`, made by another program than a training, needs no recipe; nor do shipped ones.

    Raises FileNotFoundError for a recipe that is not there, ValueError for one that needs itself or cannot be read.
    """
    ordered: list[Path] = []

    def add(path: Path, needed_by: tuple[Path, ...]) -> None:
        if path in needed_by:
            raise ValueError(f"{path} needs itself: {' -> '.join(one.stem for one in (*needed_by, path))}")
        if path in ordered:
            return
        if needed_by and not path.exists():
            raise FileNotFoundError(
                f"{needed_by[-1]} needs {path.stem}, but no {path} trains it, and the folder of runs has no weights "
                "of it; docs/TRAINING.md says what makes them"
            )
        read = Recipe.read(path)
        for name in (read.teacher, read.start):
            made = runs is not None and name == read.start and start_weights(path, read, runs).exists()
            if name and (not made or path.with_name(f"{name}.toml").exists()):
                add(path.with_name(f"{name}.toml"), (*needed_by, path))
        ordered.append(path)

    add(recipe, ())
    return ordered
