"""What `benchmarks.gpu.check` looks at: device, model files, and all ways to run them on this machine."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal, cast

from benchmarks.gpu.process import say
from benchmarks.gpu.verdicts import fastest
from edge.pipeline.backend import FILE_ROLES, SHIPPED_MODELS, Backend, model_file, open_backend
from edge.pipeline.config import SHIPPED_PAIR
from edge.sources import open_source
from edge.sources.base import Frame
from engines.device import Device, GpuDevice
from engines.engine import Engine
from engines.load import load_engine
from engines.plan import PlanStore
from engines.tensorrt_engine import TensorRtEngine

SCENE = "synthetic://?seed=1&people=20"
ROLES = tuple(FILE_ROLES.values())
ModelFiles = Literal["served", "halved"]
"""served: what the service runs, a plan where there is one; halved: the fp16 files, in ONNX Runtime."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to run a network."""

    name: str
    precision: str
    load: Callable[[], Engine]


@dataclass(frozen=True, slots=True)
class Check:
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

    def model(self, role: str, files: ModelFiles = "served") -> Path:
        """Path of a model file; role: teacher, student or student-plain."""
        if files == "halved":
            return self.halves / f"{self.pair}-{role}-{self.size[0]}x{self.size[1]}.onnx"
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
        os.environ["ATTTRACK_PLANS_DIR"] = str(self.plans)
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
        try:
            found: dict[str, Any] = json.loads((self.out / "gpu_check.json").read_text())
        except (OSError, ValueError):
            return {}
        return found

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

    def ways(self, role: str, device: Device) -> Iterator[Way]:
        """All ways in which the service would run a network here."""
        for files, precision in (("served", "fp32"), ("halved", "fp16")):
            path = self.model(role, cast(ModelFiles, files))
            if path.is_file() or files == "served":
                load = partial(load_engine, path, device, plans=self.plans / "none")
                yield Way(f"onnx runtime {precision}", precision, load)
        if device.kind == "cuda":
            for path, manifest in PlanStore(self.plans).manifests():
                if Path(manifest.model) == self.model(role):
                    plan = partial(TensorRtEngine, path, cast(GpuDevice, device))
                    yield Way(f"{manifest.key.runtime} {manifest.key.precision}", manifest.key.precision, plan)
