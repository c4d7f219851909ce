"""The one place that chooses: which device, which model files, which implementation of the pixel work."""

import glob
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge.ops.base import Ops
from edge.ops.cuda_ops import CudaOps
from edge.ops.host import HostOps
from edge.pipeline.config import INPUT_SIZE, SHIPPED_PAIR, Mode, parse_size
from edge.pipeline.modes import MODES, NetworkName
from engines.cuda_device import CudaDevice
from engines.device import Device
from engines.engine import Engine
from engines.errors import DeviceError, ModelFileError, SignatureError
from engines.load import load_engine, open_device
from engines.plan_builds import PlanBuilds
from engines.signature import Signature, check_pair, file_name, size_name

log = logging.getLogger(__name__)

SHIPPED_MODELS = Path(__file__).parents[2] / "models"
FILE_ROLES: Mapping[NetworkName, str] = {"teacher": "teacher", "student": "student", "plain": "student-plain"}
"""Name in `Backend` -> name in the file."""


@dataclass(frozen=True, slots=True)
class Backend:
    """Everything of a pipeline that depends on the machine, and the networks that were found; each may be missing."""

    device: Device
    ops: Ops
    teacher: Engine | None = None
    student: Engine | None = None
    """The student with a prior."""
    plain: Engine | None = None
    """The student without."""

    @property
    def engines(self) -> dict[NetworkName, Engine]:
        """Those that are there."""
        named: dict[NetworkName, Engine | None] = {
            "teacher": self.teacher,
            "student": self.student,
            "plain": self.plain,
        }
        return {name: engine for name, engine in named.items() if engine is not None}

    @property
    def signatures(self) -> tuple[Signature, Signature]:
        """Of the teacher and of the students; where there is only one of both, it stands for the other."""
        teacher, student = self.teacher, self.student or self.plain
        first = teacher or student
        if first is None:
            raise ModelFileError("a backend needs a network: a teacher, a student, or both")
        return first.signature, (student or first).signature

    @property
    def classes(self) -> tuple[str, ...]:
        """What the pair sees: what its teacher says, or else its students; of those who do not say, objects."""
        teacher, student = self.signatures
        return teacher.classes or student.classes or ("object",)

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes whose networks are all there."""
        return tuple(mode for mode, plan in MODES.items() if self.engines.keys() >= {*plan.networks})

    def open_student(self, path: Path, max_batch: int) -> Engine:
        """A student with a prior for some lanes, of the pair and at the size of the one here. On any thread.

        Raises ModelFileError where there is none to take the place of, EngineError for a file that does not fit.
        """
        if self.teacher is None or self.student is None:
            raise ModelFileError("this pair has no student with a prior that another one could take the place of")
        ours = self.student.signature
        engine = load_engine(path, self.device, max_batch=max_batch, size=(ours.width, ours.height))
        _check_network("student", engine.signature, path)
        check_pair(self.teacher.signature, engine.signature)
        return engine


def open_backend(
    models: Path | None = None,
    size: tuple[int, int] = INPUT_SIZE,
    device: str = "auto",
    mode: Mode = "atttrack",
    pair: str = SHIPPED_PAIR,
    threads: int | None = None,
    plans: Path | None = None,
    builds: PlanBuilds | None = None,
    max_batch: int = 1,
    teacher_size: tuple[int, int] | None = None,
) -> Backend:
    """Load the networks of a pair: those that `mode` needs, and the others as far as their files exist.

    models: folder of `<pair>-<role>.onnx`, which take any size, or `<pair>-<role>-<width>x<height>.onnx`, which come
    first; None for the shipped one; roles are teacher, student and student-plain. size: width and height of the
    networks' input; teacher_size: the teacher's, None for `size` or else the only one that it has. device: 'cpu',
    'cuda' or 'auto'. threads: of the CPU per network, None for one per core. plans: folder of TensorRT plans, None for
    `engines.plan.plans_folder`. builds: where plans that a GPU lacks are ordered; None: they are not. max_batch: lanes
    that the pipeline will have; a plan for fewer does not fit.

    Raises ModelFileError, SignatureError or DeviceError (all EngineError) with the remedy in the message.
    """
    chosen = open_device(device)
    folder = models or SHIPPED_MODELS
    needed = MODES[mode].networks
    engines: dict[NetworkName, Engine] = {}
    for network, role in FILE_ROLES.items():
        wanted = _teachers_size(folder, pair, size, teacher_size) if network == "teacher" else size
        usable = network != "student" or "teacher" in engines  # who else would make its prior?
        if network in needed or (usable and _exists(folder, pair, role, wanted)):
            path = model_file(folder, pair, role, wanted)
            try:
                engines[network] = load_engine(path, chosen, threads, plans, builds, max_batch, wanted)
            except DeviceError as error:  # on a Jetson, say, where a network runs as a plan or not at all
                if network in needed:
                    raise
                log.info("the %s network, which mode %s does without, is left out: %s", network, mode, error)
                continue
            _check_network(network, engines[network].signature, path)
    if "teacher" in engines:
        for network in engines.keys() - {"teacher"}:
            check_pair(engines["teacher"].signature, engines[network].signature)
        if engines["teacher"].signature.appearance == "none":
            log.info("the pair %s knows no appearance: people are told apart by motion and overlap", pair)
    return Backend(chosen, ops_on(chosen), **engines)


def ops_on(device: Device) -> Ops:
    """The pixel work on `device`. Raises DeviceError where a GPU's kernels cannot be built."""
    return CudaOps(device) if isinstance(device, CudaDevice) else HostOps()


def _check_network(network: NetworkName, found: Signature, path: Path) -> None:
    """Raise SignatureError where a file is not the network that its name says."""
    expected = ("teacher" if network == "teacher" else "student", network == "student")
    if (found.role, found.prior) != expected:
        raise SignatureError(
            f"{path} should hold a {expected[0]} with{'' if expected[1] else 'out'} a prior, its metadata say: "
            f"{found.role} with{'' if found.prior else 'out'}; export it again under its right name"
        )


def model_files(
    folder: Path, pair: str, size: tuple[int, int], teacher_size: tuple[int, int] | None = None
) -> list[Path]:
    """The files that `open_backend` takes for a pair at these sizes, of all networks that are there."""
    teachers = _teachers_size(folder, pair, size, teacher_size)
    sizes = [(role, teachers if role == "teacher" else size) for role in FILE_ROLES.values()]
    found = ([path for path in _paths(folder, pair, *wanted) if path.is_file()][:1] for wanted in sizes)
    return [path for paths in found for path in paths]


@dataclass(frozen=True, slots=True)
class PairFiles:
    """A teacher and its student with a prior, as files, and the (width, height) of their inputs."""

    teacher: Path
    student: Path
    teacher_size: tuple[int, int]
    size: tuple[int, int]

    @classmethod
    def find(
        cls, folder: Path, pair: str, size: tuple[int, int], teacher_size: tuple[int, int] | None = None
    ) -> "PairFiles":
        """Those that `open_backend` takes. Raises ModelFileError where one is missing."""
        teachers = _teachers_size(folder, pair, size, teacher_size)
        teacher, student = model_file(folder, pair, "teacher", teachers), model_file(folder, pair, "student", size)
        return cls(teacher, student, teachers, size)


def _paths(folder: Path, pair: str, role: str, size: tuple[int, int]) -> tuple[Path, Path]:
    """Where a network's file is: of one size, or of all."""
    return folder / file_name(pair, role, size_name(size)), folder / file_name(pair, role)


def _teachers_size(folder: Path, pair: str, size: tuple[int, int], wanted: tuple[int, int] | None) -> tuple[int, int]:
    """What the teacher's input shall have: what is wanted, else `size`, else the only one that there is."""
    if wanted or _exists(folder, pair, "teacher", size):
        return wanted or size
    sizes = _sizes(folder, pair, "teacher")
    return parse_size(sizes[0]) if len(sizes) == 1 else size


def _sizes(folder: Path, pair: str, role: str) -> list[str]:
    """Of a network's files that have one size each: '576x320'."""
    found = folder.glob(file_name(glob.escape(pair), role, "*x*"))
    sizes = (file.stem.removeprefix(f"{pair}-{role}-") for file in sorted(found))
    return [size for size in sizes if re.fullmatch(r"\d+x\d+", size)]


def _exists(folder: Path, pair: str, role: str, size: tuple[int, int]) -> bool:
    return any(path.is_file() for path in _paths(folder, pair, role, size))


def model_file(folder: Path, pair: str, role: str, size: tuple[int, int]) -> Path:
    """The model file, or a ModelFileError that says what there is instead."""
    for path in _paths(folder, pair, role, size):
        if path.is_file():
            return path
    name = _paths(folder, pair, role, size)[0].name
    stems = sorted(file.stem for file in folder.glob("*.onnx"))
    if sizes := _sizes(folder, pair, role):
        raise ModelFileError(f"no model file {name} in {folder}; this {role} comes in the sizes {', '.join(sizes)}")
    raise ModelFileError(f"no model file {name} in {folder}; it has {', '.join(stems) or 'no .onnx file'}")
