"""The network contract: names, shapes and metadata that training, export, engines and edge agree on.

| role    | inputs                                              | outputs                                              |
|---------|-----------------------------------------------------|------------------------------------------------------|
| teacher | `image` uint8 (B, 3, H, W), RGB planar, letterboxed | `heatmap`, `points`, `boxes`, `scores`, `embeddings` |
| student | `image`, and `prior` float32 (B, 1, h, w)           | `points`, `boxes`, `scores`, `embeddings`            |

h, w = H/4, W/4. `heatmap` float32 (B, 1, h, w) in [0, 1]; `points` (B, N, 2) object centres (x, y) in cells;
`boxes` (B, N, 4) xyxy in input pixels; `scores` (B, N) descending; `embeddings` (B, N, D) of unit length, or zeros
where nothing is known of what somebody looks like. A network that sees more than one class has one more output,
`classes` int32 (B, N): each row's place in the `classes` of its metadata. All else is blind to classes.
Normalisation (/255), sigmoid, 3x3 peak test, top-N, gather and L2 norm are inside the graph.
"""

import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from typing import Any, Literal, Self

import numpy as np

from engines.errors import SignatureError as SignatureError  # part of this module's contract, too

STRIDE = 4
"""Input pixels per heatmap cell."""
SCHEMA = "atttrack/1"
"""Version of this contract; stands in each model file."""

Role = Literal["teacher", "student"]
FeatureMapping = Literal["none", "efm", "ifm"]
Sizes = Literal["fixed", "open"]
Appearance = Literal["embeddings", "none"]

IMAGE, PRIOR = "image", "prior"
HEATMAP, POINTS, BOXES, SCORES, EMBEDDINGS = "heatmap", "points", "boxes", "scores", "embeddings"
CLASSES = "classes"
DECODED = (POINTS, BOXES, SCORES, EMBEDDINGS)
"""Outputs of every role, in the order of the graph."""
PERSON = "person"
PEOPLE: tuple[str, ...] = (PERSON,)
"""Classes of a network whose file names none."""
LONGEST_CLASS = 100
"""Letters of a class's name."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What one model file is. Stored as ONNX metadata (string to string) under the field names below."""

    role: Role
    height: int
    """Input pixels; a multiple of 32. Of a file with open sizes: unless told otherwise."""
    width: int
    """As `height`."""
    peaks: int
    """N: detections per image, most likely first."""
    embedding_dim: int
    """D: length of an embedding."""
    pair: str
    """Name shared by a teacher and the students trained with it."""
    network: str
    """Name of the architecture, for people."""
    mapping: FeatureMapping = "none"
    """How the student's embeddings were brought into the teacher's space (paper section 3.3)."""
    prior: bool = False
    """Whether the network has the `prior` input; a student without it serves the baselines only."""
    commit: str = ""
    """Commit of the code that trained it."""
    schema: str = SCHEMA
    sizes: Sizes = "fixed"
    """open: the file takes every height and width that are multiples of 32. An engine always has one size: fixed."""
    appearance: Appearance = "embeddings"
    """none: `embeddings` are zeros, which say nothing; people are told apart by motion and overlap alone."""
    classes: tuple[str, ...] = PEOPLE
    """Names of what it sees, in the file a JSON list. Of a student, empty: what its teacher sees, it does not say
    which; then whom it sees is of the class that they had."""

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise SignatureError(f"model speaks contract {self.schema!r}, this program {SCHEMA!r}; export it again")
        if self.role not in ("teacher", "student"):
            raise SignatureError(f"role must be 'teacher' or 'student', got {self.role!r}")
        if self.mapping not in ("none", "efm", "ifm"):
            raise SignatureError(f"mapping must be 'none', 'efm' or 'ifm', got {self.mapping!r}")
        if self.role == "teacher" and self.prior:
            raise SignatureError("a teacher takes no prior")
        if self.sizes not in ("fixed", "open"):
            raise SignatureError(f"sizes must be 'fixed' or 'open', got {self.sizes!r}")
        if self.appearance not in ("embeddings", "none"):
            raise SignatureError(f"appearance must be 'embeddings' or 'none', got {self.appearance!r}")
        check_size((self.width, self.height))
        if min(self.peaks, self.embedding_dim) < 1:
            raise SignatureError(f"peaks and embedding_dim must be 1 or more, got {self.peaks}, {self.embedding_dim}")
        check_classes(self.classes)
        if self.role == "teacher" and not self.classes:
            raise SignatureError("a teacher must name its classes, at least one; export it again")

    @property
    def explicit_mapping(self) -> bool:
        """Whether embeddings are EFM's pivot features, which both networks of a pair must have."""
        return self.mapping == "efm"

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the graph's inputs, in order."""
        return (IMAGE, PRIOR) if self.prior else (IMAGE,)

    @property
    def decoded(self) -> tuple[str, ...]:
        """Names of the outputs that say whom it sees, in order."""
        return (*DECODED, CLASSES) if len(self.classes) > 1 else DECODED

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the graph's outputs, in order."""
        return (HEATMAP, *self.decoded) if self.role == "teacher" else self.decoded

    @property
    def cells(self) -> tuple[int, int]:
        """(h, w) of the heatmap."""
        return self.height // STRIDE, self.width // STRIDE

    def at(self, size: tuple[int, int] | None, path: str = "model") -> Self:
        """What an engine is that runs the file at `size`, width and height; None: the file's own.

        Raises SignatureError where the file has another size, and no open ones, or the size is no multiple of 32.
        """
        width, height = size or (self.width, self.height)
        if self.sizes == "fixed" and (width, height) != (self.width, self.height):
            raise SignatureError(
                f"{path} is for an input of {self.width}x{self.height} alone, {width}x{height} was asked for; export "
                "it with open sizes, or for that size"
            )
        return replace(self, width=width, height=height, sizes="fixed")

    def input_arrays(self, batch: int) -> dict[str, tuple[tuple[int, ...], type[np.generic]]]:
        """Name -> (shape, dtype) of the graph's inputs, in order."""
        arrays: dict[str, tuple[tuple[int, ...], type[np.generic]]] = {
            IMAGE: ((batch, 3, self.height, self.width), np.uint8),
            PRIOR: ((batch, 1, *self.cells), np.float32),
        }
        return {name: arrays[name] for name in self.inputs}

    def output_arrays(self, batch: int) -> dict[str, tuple[tuple[int, ...], type[np.generic]]]:
        """Name -> (shape, dtype) of the graph's outputs, in order."""
        shapes: dict[str, tuple[int, ...]] = {
            HEATMAP: (batch, 1, *self.cells),
            POINTS: (batch, self.peaks, 2),
            BOXES: (batch, self.peaks, 4),
            SCORES: (batch, self.peaks),
            EMBEDDINGS: (batch, self.peaks, self.embedding_dim),
            CLASSES: (batch, self.peaks),
        }
        return {name: (shapes[name], np.int32 if name == CLASSES else np.float32) for name in self.outputs}

    def to_metadata(self) -> dict[str, str]:
        """Strings for the model file."""
        return {name: str(value) for name, value in asdict(self).items()} | {"classes": json.dumps(self.classes)}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], path: str = "model") -> Self:
        """Read back what `to_metadata` wrote. Raises SignatureError naming the file and the missing entries."""
        required = [f.name for f in fields(cls) if f.default is MISSING]
        missing = [name for name in required if name not in metadata]
        if missing:
            raise SignatureError(f"{path} has no metadata {missing}: not exported by `python -m export.to_onnx`")
        values: dict[str, Any] = {f.name: metadata[f.name] for f in fields(cls) if f.name in metadata}
        try:
            for name in ("height", "width", "peaks", "embedding_dim"):
                values[name] = int(values[name])
            if "classes" in values:
                values["classes"] = _listed(values["classes"])
            return cls(**{**values, "prior": metadata.get("prior") == "True"})
        except ValueError as error:  # a SignatureError, too
            raise SignatureError(f"{path}: {error}") from None


def check_classes(classes: tuple[str, ...]) -> None:
    """Raise SignatureError unless these names can stand in messages and tables, each for one class."""
    for name in classes:
        if not 0 < len(name) <= LONGEST_CLASS or not name.isprintable() or name != name.strip():
            raise SignatureError(
                f"a class's name should have 1 to {LONGEST_CLASS} letters, none of them invisible, got {name!r}"
            )
    if len({*classes}) < len(classes):
        raise SignatureError(f"each class should have a name of its own, got {', '.join(classes)}")


def _listed(text: str) -> tuple[str, ...]:
    """The names in a JSON list. Raises SignatureError."""
    try:
        names = json.loads(text)
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SignatureError(f'classes should be a JSON list of names such as ["person"], got {text!r}')
    return tuple(names)


def size_name(size: tuple[int, int] | None) -> str:
    """(576, 320) -> '576x320', as names of files and command lines have it; None: empty."""
    return f"{size[0]}x{size[1]}" if size else ""


def file_name(pair: str, role: str, size: str = "") -> str:
    """Of a network's model file; role: teacher, student or student-plain; size: of a file that has that one alone."""
    return "-".join(part for part in (pair, role, size) if part) + ".onnx"


def check_size(size: tuple[int, int]) -> None:
    """Raise SignatureError unless networks can have an input of `size`, width and height."""
    if size[0] % 32 or size[1] % 32 or min(size) < 32:
        raise SignatureError(f"input size must be multiples of 32, got {size_name(size)}")


def open_axes(size: tuple[int, int]) -> dict[str, int]:
    """Lengths of the axes of an input of `size`, width and height, by the names that they have where they are open."""
    width, height = size
    return {"height": height, "width": width, "rows": height // STRIDE, "columns": width // STRIDE}


def check_pair(teacher: Signature, student: Signature) -> None:
    """Raise SignatureError unless the two can feed one tracker and the student can take the teacher's heatmap.

    Their sizes may differ: the heatmap is brought into the student's cells.
    """
    if (teacher.role, student.role) != ("teacher", "student"):
        raise SignatureError(f"need a teacher and a student, got a {teacher.role} and a {student.role}")
    for name in ("pair", "embedding_dim", "explicit_mapping"):
        ours, theirs = getattr(teacher, name), getattr(student, name)
        if ours != theirs:
            raise SignatureError(
                f"teacher and student do not fit: {name} is {ours!r} in the teacher and {theirs!r} in the student; "
                "take both files from one pair"
            )
    if strange := [name for name in student.classes if name not in teacher.classes]:
        raise SignatureError(
            f"teacher and student do not fit: the student sees {', '.join(strange)}, the teacher only "
            f"{', '.join(teacher.classes)}; take both files from one pair"
        )
