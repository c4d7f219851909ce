"""Build TensorRT plans of exported model files, for the machine that this runs on.

examples:
  atttrack export plan models/yolo-teacher-1088x608.onnx models/yolo-student-1088x608.onnx
  atttrack export plan models/yolo-student-576x320.onnx --precision int8 --calibrate rtsp-recording.mp4
  atttrack export plan models/yolo-student-576x320.onnx --runtime tensorrt_rtx     (also without a GPU)

A plan that is there already is not built again. The folder is where the service looks: ATTTRACK_PLANS_DIR, else
~/.cache/atttrack/plans. The largest batch is as many streams as the service takes: ATTTRACK_MAX_STREAMS, else 16.
"""

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast, get_args

from tqdm import tqdm

from edge.pipeline.config import parse_size
from edge.sources.base import SourceError
from engines.device import GpuDevice
from engines.errors import DeviceError, EngineError
from engines.gpu import Gpu
from engines.load import open_device
from engines.plan import (
    ANY,
    Manifest,
    PlanKey,
    PlanStore,
    RuntimeName,
    file_sha256,
    now,
    plans_folder,
    read_manifest,
    read_plan,
)
from engines.signature import Signature, size_name
from engines.tensorrt_builder import Library, Progress, build_plan
from engines.tensorrt_engine import load_library
from export.calibration import DRAWN_SCENE
from export.precision import Precision, read_model, to_precision

Reporting = Literal["bar", "json", "none"]
MAX_STREAMS = "ATTTRACK_MAX_STREAMS"
"""The service's variable: a plan for fewer streams than it takes would be of no use to it."""


@dataclass(frozen=True, slots=True)
class Order:
    """What plan is wanted."""

    model: Path
    runtime: RuntimeName
    precision: Precision = "fp16"
    max_batch: int = 16
    optimum_batch: int | None = None
    """None: tuned for the largest batch, since at small ones a GPU has time to spare."""
    calibrate: str = DRAWN_SCENE
    """Frames for int8."""
    frames: int = 64
    size: tuple[int, int] | None = None
    """Width and height of the input, for a model file with open sizes; None: the file's own."""


def main(arguments: list[str] | None = None) -> int:
    """Build all; 2 after one line that says what was wrong."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.max_batch < 1:
        parser.error("--max-batch, or the variable ATTTRACK_MAX_STREAMS, must be 1 or more")
    store = PlanStore(options.output or plans_folder())
    try:
        runtime = options.runtime or find_runtime()
        for model in options.models:
            order = Order(
                model,
                runtime,
                options.precision,
                options.max_batch,
                options.optimum_batch,
                options.calibrate,
                options.calibration_frames,
                options.size,
            )
            with Reporter(options.progress, model.name) as reporter:
                path = make_plan(order, store, reporter.progress)
                reporter.done(path)
    except (EngineError, SourceError, ValueError, OSError) as error:
        print(f"python -m export.to_plan: {error}", file=sys.stderr)
        return 2
    return 0


def make_plan(order: Order, store: PlanStore, progress: Progress, load: Callable[[str], Library] | None = None) -> Path:
    """The path of the plan that was ordered; built unless it is there. `load` finds the library by its name.

    Raises EngineError, or SourceError or ValueError from the calibration.
    """
    order = replace(order, size=_size(order))
    library = (load or load_library)(order.runtime)
    gpu = this_gpu(order.runtime)
    key = plan_key(order, str(library.__version__), gpu)
    path = store.path(key, order.model)
    with store.locked(path):
        if _is_there(path, key):
            progress(1.0, "already there")
            return path
        started_s = time.monotonic()
        progress(0.0, "preparing the network" if order.precision != "int8" else "calibrating")
        model = to_precision(order.model, order.precision, order.calibrate, order.frames, order.size)
        metadata = {entry.key: entry.value for entry in model.metadata_props}
        plan = build_plan(library, model.SerializeToString(), key.max_batch, key.optimum_batch, progress)
        manifest = Manifest(
            key=key,
            model=str(order.model),
            signature=metadata,
            gpu=gpu.name if gpu else "",
            built_at=now(),
            seconds=round(time.monotonic() - started_s, 1),
            plan_sha256=hashlib.sha256(plan).hexdigest(),
        )
        store.write(path, plan, manifest)
    return path


def _size(order: Order) -> tuple[int, int] | None:
    """The size to build for where the model file has open sizes; None: it has one of its own."""
    metadata = {entry.key: entry.value for entry in read_model(order.model).metadata_props}
    stored = Signature.from_metadata(metadata, str(order.model))
    wanted = stored.at(order.size, str(order.model))
    return (wanted.width, wanted.height) if stored.sizes == "open" else None


def plan_key(order: Order, version: str, gpu: Gpu | None) -> PlanKey:
    """What the plan depends on; `gpu` None for a plan for any. Raises OSError where there is no model file."""
    return PlanKey(
        model_sha256=file_sha256(order.model),
        runtime=order.runtime,
        runtime_version=version,
        compute_capability=gpu.compute_capability if gpu else ANY,
        driver_major=gpu.driver_major if gpu else 0,
        precision=order.precision,
        max_batch=order.max_batch,
        optimum_batch=order.optimum_batch or order.max_batch,
        calibrate=order.calibrate if order.precision == "int8" else "",
        calibration_frames=order.frames if order.precision == "int8" else 0,
        size=size_name(order.size),
    )


def this_gpu(runtime: RuntimeName) -> Gpu | None:
    """The GPU that a plan of `runtime` is tied to: this machine's, or None. Raises DeviceError where it is missing."""
    return None if runtime == "tensorrt_rtx" else Gpu.of(cast(GpuDevice, open_device("cuda")))


def find_runtime() -> RuntimeName:
    """The first runtime that is installed, TensorRT before TensorRT-RTX. Raises DeviceError where none is."""
    name: RuntimeName
    for name in get_args(RuntimeName):
        with suppress(DeviceError):
            load_library(name)
            return name
    raise DeviceError("neither tensorrt nor tensorrt_rtx is installed; see docs/GPU.md")


class Reporter:
    """Tells how far a build is: a bar for people, lines of JSON for a program, or nothing."""

    def __init__(self, kind: Reporting, title: str) -> None:
        self._kind, self._title = kind, title
        self._bar = tqdm(
            total=100,
            desc=title,
            unit="%",
            disable=None if kind == "bar" else True,
            bar_format="{desc} {percentage:3.0f}% |{bar}| {postfix}",
        )
        self._said = -1

    def __enter__(self) -> "Reporter":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def progress(self, share: float, doing: str) -> None:
        """See `Progress`; one line of JSON per percent."""
        percent = int(100 * share)
        self._bar.set_postfix_str(doing, refresh=False)
        self._bar.update(percent - self._bar.n)
        if self._kind == "json" and percent != self._said:
            self._said = percent
            print(json.dumps({"model": self._title, "share": percent / 100, "doing": doing}), flush=True)

    def done(self, path: Path) -> None:
        """The plan is at `path`."""
        if self._kind == "json":
            print(json.dumps({"model": self._title, "plan": str(path)}), flush=True)
        elif self._kind == "bar":
            tqdm.write(str(path), file=sys.stdout)


def _is_there(path: Path, key: PlanKey) -> bool:
    try:
        manifest = read_manifest(path)
        read_plan(path, manifest)  # a damaged one is built again
        return manifest.key == key
    except EngineError:
        return False


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="atttrack export plan", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL.onnx", help="exported files, computing in fp32")
    parser.add_argument("--runtime", choices=get_args(RuntimeName), help="default: the one that is installed")
    parser.add_argument("--precision", choices=get_args(Precision), default="fp16", help="default %(default)s")
    parser.add_argument(
        "--max-batch",
        type=int,
        default=os.environ.get(MAX_STREAMS) or 16,  # argparse reads it as if it had been typed
        metavar="B",
        help=f"batches of 1 to B (default: {MAX_STREAMS}, else 16)",
    )
    parser.add_argument("--optimum-batch", type=int, metavar="B", help="batch to tune for (default: --max-batch)")
    parser.add_argument("--size", type=parse_size, metavar="WxH", help="of the input (default: the file's)")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder of the plans (default: see above)")
    parser.add_argument(
        "--calibrate",
        default=DRAWN_SCENE,
        metavar="SOURCE",
        help="frames for int8: video, sequence folder or scene (default %(default)s)",
    )
    parser.add_argument("--calibration-frames", type=int, default=64, metavar="N", help="default %(default)s")
    parser.add_argument("--progress", choices=get_args(Reporting), default="bar", help="default %(default)s")
    return parser


if __name__ == "__main__":
    sys.exit(main())
