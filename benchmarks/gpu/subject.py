"""What `benchmarks.gpu.check` looks at: device, model files, and all ways to run them on this machine."""

import json
import os
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from benchmarks.gpu.process import say
from benchmarks.gpu.verdicts import fastest
from edge.pipeline.backend import FILE_ROLES, SHIPPED_MODELS, Backend, model_file, open_backend
from edge.pipeline.config import SHIPPED_PAIR
from edge.sources import open_source
from edge.sources.base import Frame
from engines.signature import file_name, size_name

RESULT = "gpu_check"
"""Name of the result's file."""
SCENE = "synthetic://?seed=1&people=20"
ROLES = tuple(FILE_ROLES.values())
ModelFiles = Literal["served", "halved"]
"""served: what the service runs, a plan where there is one; halved: the fp16 files, in ONNX Runtime."""
VARIABLE, PLANS_VARIABLE = "ATTTRACK_GPU_CHECK", "ATTTRACK_PLANS_DIR"


def work_folder() -> Path:
    """For what is large and can be made again."""
    return Path(tempfile.gettempdir()) / f"atttrack-gpu-check-{os.getuid()}"


@dataclass(frozen=True, slots=True)
class GpuCheck:
    """What is to be checked."""

    device: str
    out: Path
    work: Path
    """Folder for what is large and can be made again."""
    models: Path = SHIPPED_MODELS
    pair: str = SHIPPED_PAIR
    size: tuple[int, int] = (1088, 608)
    quick: bool = False
    """Tiny settings, for rehearsals."""

    @classmethod
    def of_environment(cls) -> "GpuCheck":
        """The one that a step, or a test that it starts, is about; without one, the shipped networks on a GPU."""
        asked = json.loads(os.environ.get(VARIABLE, "{}"))
        paths = {name: Path(asked[name]) for name in ("out", "work", "models") if name in asked}
        size = {"size": tuple(asked["size"])} if "size" in asked else {}
        return cls(**({"device": "cuda", "out": Path("none"), "work": work_folder()} | asked | paths | size))

    def as_environment(self) -> dict[str, str]:
        """For steps: this, the CUDA libraries that came with Python packages, and a folder of plans of its own."""
        libraries = [str(folder) for entry in sys.path for folder in sorted(Path(entry).glob("nvidia/*/lib"))]
        found = os.pathsep.join([*libraries, os.environ.get("LD_LIBRARY_PATH", "")]).strip(os.pathsep)
        more = {"LD_LIBRARY_PATH": found, PLANS_VARIABLE: str(self.plans)}
        return os.environ | more | {VARIABLE: json.dumps(asdict(self), default=str)}

    def model(self, role: str, files: ModelFiles = "served") -> Path:
        """Path of a model file; role: teacher, student or student-plain."""
        if files == "halved":
            return self.halves / file_name(self.pair, role, size_name(self.size))
        return model_file(self.models, self.pair, role, self.size)

    @property
    def plans(self) -> Path:
        """Folder of plans."""
        return self.work / "plans"

    @property
    def halves(self) -> Path:
        """Folder of the model files in fp16."""
        return self.work / "halved"

    def sets_of_files(self) -> tuple[ModelFiles, ...]:
        """Ways to run the whole pair, the one that is probably faster first."""
        halved = all(self.model(role, "halved").is_file() for role in ROLES)
        planned = self.device == "cuda" and self.results().get("plans", {}).get("status") == "ok"
        return ("halved", "served") if halved and not planned else ("served",)

    def fastest(self) -> ModelFiles:
        """Those that were the fastest in the step `law`; without that step, what is served."""
        found = fastest(self.results())
        return next((files for files in self.sets_of_files() if files == found), "served")

    def backend(self, files: ModelFiles = "served") -> Backend:
        """Networks and device, with the plans that are there."""
        os.environ[PLANS_VARIABLE] = str(self.plans)
        folder = self.halves if files == "halved" else self.models
        return open_backend(folder, self.size, self.device, "atttrack", self.pair, max_batch=self.largest_batch)

    def frames(self, count: int) -> list[Frame]:
        """Drawn frames, 720p, decoded beforehand."""
        width, height = (480, 270) if self.quick else (1280, 720)
        source = open_source(f"{SCENE}&width={width}&height={height}")
        try:
            return list(islice(source, count))
        finally:
            source.close()

    def results(self) -> dict[str, Any]:
        """What is known of the steps before this one."""
        with suppress(OSError, ValueError):
            found: dict[str, Any] = json.loads((self.out / f"{RESULT}.json").read_text())
            return found
        return {}

    def note(self, found: dict[str, Any]) -> None:
        """Keep what a step has found until now, should it be ended before it is done."""
        say("partial", result=found)

    @property
    def lane_counts(self) -> tuple[int, ...]:
        """Numbers of streams to measure, the most telling first."""
        return (2, 1) if self.quick else (64, 1, 16, 32, 8, 4, 2)

    @property
    def largest_batch(self) -> int:
        """What plans must take: in their first tick, all lanes go to the teacher."""
        return max(self.lane_counts)
