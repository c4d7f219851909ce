"""What `benchmarks.gpu_check` looks at: device, model files, and all ways to run them on this machine."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import cast

from edge.backend import SHIPPED_MODELS, Backend, open_backend
from edge.sources import open_source
from edge.sources.base import Frame
from engines.device import Device, GpuDevice
from engines.engine import Engine
from engines.errors import EngineError
from engines.load import load_engine
from engines.plan import PlanStore
from engines.tensorrt_engine import TensorRtEngine

SCENE = "synthetic://?seed=1&people=20&width=1280&height=720"


@dataclass(frozen=True, slots=True)
class Check:
    """What is to be checked."""

    device: str
    out: Path
    plans: Path
    """Folder for plans, outside of `out`: they are large."""
    models: Path = SHIPPED_MODELS
    pair: str = "yolo"
    size: tuple[int, int] = (1088, 608)
    quick: bool = False
    """Tiny settings, for rehearsals."""

    def model(self, role: str) -> Path:
        """Path of a model file; role: teacher, student or student-plain."""
        return self.models / f"{self.pair}-{role}-{self.size[0]}x{self.size[1]}.onnx"

    def backend(self) -> Backend:
        """Networks and device, with the plans that are there."""
        os.environ["ATTTRACK_PLANS_DIR"] = str(self.plans)
        return open_backend(self.models, self.size, self.device, "atttrack", self.pair, max_batch=self.largest_batch)

    def frames(self, count: int) -> list[Frame]:
        """Drawn frames, decoded beforehand."""
        source = open_source(SCENE)
        try:
            return list(islice(source, count))
        finally:
            source.close()

    @property
    def batches(self) -> tuple[int, ...]:
        """Batch sizes to measure; plans are tuned for the last."""
        return (1, 2) if self.quick else (1, 2, 4, 8, 16, 32)

    @property
    def lane_counts(self) -> tuple[int, ...]:
        """Numbers of streams to measure."""
        return (1, 2) if self.quick else (1, 2, 4, 8, 16, 32, 64)

    @property
    def largest_batch(self) -> int:
        """What plans must take: in their first tick, all lanes go to the teacher."""
        return max(*self.batches, *self.lane_counts)

    def engines(
        self, role: str, device: Device, both_ways: bool = False
    ) -> Iterator[tuple[str, str, Engine | EngineError]]:
        """Name, precision and engine of all ways to run a network here; one that cannot be run says why.

        both_ways: also without CUDA graphs.
        """
        yield (
            "onnx runtime",
            "fp32",
            _engine_or_why(partial(load_engine, self.model(role), device, plans=self.plans / "none")),
        )
        if device.kind != "cuda":
            return
        for path, manifest in PlanStore(self.plans).manifests():
            if Path(manifest.model) == self.model(role):
                for graphs in (True, False) if both_ways else (True,):
                    name = f"{manifest.key.runtime} {manifest.key.precision}{'' if graphs else ' without graphs'}"
                    load = partial(TensorRtEngine, path, cast(GpuDevice, device), graphs=graphs)
                    yield name, manifest.key.precision, _engine_or_why(load)


def _engine_or_why(load: Callable[[], Engine]) -> Engine | EngineError:
    """One way that fails must not hide the others."""
    try:
        return load()
    except EngineError as error:
        return error
