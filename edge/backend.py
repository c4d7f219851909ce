"""The one place that chooses: which device, which model files, which implementation of the pixel work."""

import re
from dataclasses import dataclass
from pathlib import Path

from edge.modes import MODES, Mode
from edge.ops.base import Ops
from edge.ops.host import HostOps
from engines.device import Device
from engines.engine import Engine
from engines.errors import ModelFileError
from engines.load import load_engine, open_device
from engines.signature import check_pair

SHIPPED_MODELS = Path(__file__).parent.parent / "models"


@dataclass(frozen=True, slots=True)
class Backend:
    """Everything of a pipeline that depends on the machine."""

    device: Device
    ops: Ops
    teacher: Engine | None
    """None where the mode runs without."""
    student: Engine | None
    """None where the mode runs without."""


def open_backend(
    models: Path | None = None,
    size: tuple[int, int] = (576, 320),
    device: str = "auto",
    mode: Mode = "atttrack",
    pair: str = "yolo",
    threads: int | None = None,
) -> Backend:
    """Load the networks that `mode` needs.

    models: folder of `<pair>-<role>-<width>x<height>.onnx`, None for the shipped one. size: width and height of the
    networks' input. device: 'cpu', 'cuda' or 'auto'. threads: of the CPU per network, None for one per core.

    Raises ModelFileError, SignatureError or DeviceError (all EngineError) with the remedy in the message.
    """
    plan = MODES[mode]
    chosen = open_device(device)
    folder = models or SHIPPED_MODELS

    def load(role: str) -> Engine:
        return load_engine(_find(folder, pair, role, size), chosen, threads)

    teacher = load("teacher") if plan.teacher else None
    student = load("student" if plan.student == "prior" else "student-plain") if plan.student != "none" else None
    if teacher and student:
        check_pair(teacher.signature, student.signature)
    return Backend(chosen, HostOps(), teacher, student)


def _find(folder: Path, pair: str, role: str, size: tuple[int, int]) -> Path:
    """The model file, or a ModelFileError that says what there is instead."""
    path = folder / f"{pair}-{role}-{size[0]}x{size[1]}.onnx"
    if path.is_file():
        return path
    stems = sorted(file.stem for file in folder.glob("*.onnx"))
    same_role = re.compile(rf"{re.escape(pair)}-{role}-(\d+x\d+)")
    sizes = [match[1] for stem in stems if (match := same_role.fullmatch(stem))]
    if sizes:
        raise ModelFileError(
            f"no model file {path.name} in {folder}; this {role} comes in the sizes {', '.join(sizes)}"
        )
    raise ModelFileError(f"no model file {path.name} in {folder}; it has {', '.join(stems) or 'no .onnx file'}")
