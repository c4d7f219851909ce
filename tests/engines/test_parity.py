"""Every engine says what ONNX Runtime says on the CPU: on stand-ins here, and on a GPU where there is one.

`make gpu-check` runs the test marked `gpu` about its own model files and plans; by itself it is about the shipped ones.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.gpu.subject import ROLES, GpuCheck
from edge.ops.host import HostOps
from edge.ops.letterbox import Letterbox
from engines.device import Device
from engines.engine import Engine
from engines.errors import EngineError, PlanError
from engines.host import HostDevice
from engines.load import load_engine, open_device
from engines.onnx_engine import OnnxEngine
from engines.plan import PlanStore
from engines.signature import BOXES, CLASSES, EMBEDDINGS, HEATMAP, IMAGE, POINTS, PRIOR, SCORES
from engines.tensorrt_engine import TensorRtEngine
from tests.support.cuda_runtime import with_gpu
from tests.support.plans import write_plan
from tests.support.tiny_pair import write_pair_of_classes, write_tiny_pair

Values = np.ndarray[Any, Any]
Way = tuple[str, str, Callable[[], Engine]]
"""Name, precision, and what opens it."""

TOLERANCE: Mapping[str, Mapping[str, float]] = {
    "fp32": {HEATMAP: 1e-3, SCORES: 2e-3, POINTS: 0.02, BOXES: 0.25, EMBEDDINGS: 5e-3, CLASSES: 0},
    "fp16": {HEATMAP: 5e-3, SCORES: 1e-2, POINTS: 0.05, BOXES: 1.0, EMBEDDINGS: 2e-2, CLASSES: 0},
}
"""Largest difference to ONNX Runtime on the CPU where the score is 0.3 or more."""


def ways(check: GpuCheck, role: str, device: Device) -> Iterator[Way]:
    """All ways in which the service would run a network here."""
    for files, precision in (("served", "fp32"), ("halved", "fp16")):
        path = check.model(role, files)
        if path.is_file() or files == "served":
            load = partial(load_engine, path, device, plans=check.plans / "none")
            yield f"onnx runtime {precision}", precision, load
    if device.kind == "cuda":
        for path, manifest in PlanStore(check.plans).manifests():
            if Path(manifest.model) == check.model(role):
                key = manifest.key
                yield f"{key.runtime} {key.precision}", key.precision, partial(TensorRtEngine, path, device)


def disagreements(check: GpuCheck, role: str) -> tuple[int, list[str]]:
    """How many ways there are, and what is wrong with each that disagrees or cannot run."""
    device, feeds, found = open_device(check.device), _feeds(check, role), []
    expected = _outputs(OnnxEngine(check.model(role)), HostDevice(), feeds)
    every = list(ways(check, role, device))
    for name, precision, load in every:
        try:
            differences = _differences(expected, _outputs(load(), device, feeds))
            large = {what: value for what, value in differences.items() if value > TOLERANCE[precision][what]}
            found += [f"{role}, {name}: {large}"] if large else []
        except EngineError as error:  # one way that fails must not hide the others
            found.append(f"{role}, {name}: {error}")
    return len(every), found


def _feeds(check: GpuCheck, role: str) -> dict[str, Values]:
    """Inputs for a batch of two: drawn frames, and for a student with a prior the teacher's heatmap of them."""
    frames = check.frames(16)[::15]
    width, height = check.size
    image = np.empty((len(frames), 3, height, width), np.uint8)
    boxes = [Letterbox(frame.image.shape[1], frame.image.shape[0], width, height) for frame in frames]
    HostOps().letterbox([frame.image for frame in frames], boxes, image, HostDevice().cuda_stream())
    if role != "student":
        return {IMAGE: image}
    heatmap = _outputs(OnnxEngine(check.model("teacher")), HostDevice(), {IMAGE: image})[HEATMAP]
    return {IMAGE: image, PRIOR: heatmap}


def _outputs(engine: Engine, device: Device, feeds: Mapping[str, Values]) -> dict[str, Values]:
    """What an engine says to a batch. Run three times, so that a recorded graph is what is looked at."""
    batch = len(feeds[IMAGE])
    execution, queue = engine.prepare(batch), device.cuda_stream()
    for name, value in feeds.items():
        device.copy(value, execution.inputs[name], queue)
    for _ in range(3):
        execution.run(batch, queue)
    found = {}
    for name, (shape, dtype) in engine.signature.output_arrays(batch).items():
        host = device.host_empty(shape, dtype)
        device.copy(execution.outputs[name], host, queue)
        queue.synchronize()
        found[name] = host.copy()
    return found


def _differences(expected: Mapping[str, Values], got: Mapping[str, Values]) -> dict[str, float]:
    """Largest per output, peak by peak, since equal scores may be ranked either way."""
    worst = dict.fromkeys(expected, 0.0)
    if HEATMAP in expected:
        worst[HEATMAP] = float(np.abs(expected[HEATMAP] - got[HEATMAP]).max())
    for image in range(len(expected[SCORES])):
        for row in np.flatnonzero(expected[SCORES][image] > 0.3):
            match = int(np.abs(got[POINTS][image] - expected[POINTS][image, row]).max(1).argmin())
            for name in expected.keys() - {HEATMAP}:
                difference = np.abs(expected[name][image, row] - got[name][image, match]).max()
                worst[name] = max(worst[name], float(difference))
    return worst


@pytest.mark.gpu
@pytest.mark.parametrize("role", ROLES)
def test_every_engine_of_this_machine_agrees(role: str) -> None:
    check = GpuCheck.of_environment()
    try:
        open_device(check.device)
    except EngineError as error:
        pytest.skip(f"no GPU: {error}")
    assert disagreements(check, role)[1] == []


@pytest.fixture
def tiny(tmp_path: Path) -> GpuCheck:
    write_tiny_pair(tmp_path)
    return GpuCheck("cpu", tmp_path, tmp_path / "work", tmp_path, "tiny", (320, 192), quick=True)


@pytest.mark.parametrize("role", ROLES)
def test_engines_agree_on_the_cpu(tiny: GpuCheck, role: str) -> None:
    assert disagreements(tiny, role) == (1, [])


def test_engines_agree_on_a_gpu_made_of_host_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpu(monkeypatch)
    write_tiny_pair(tmp_path)
    check = GpuCheck("cuda", tmp_path, tmp_path / "work", tmp_path, "tiny", (320, 192), quick=True)
    gpu: Any = open_device("cuda")
    for role in ROLES:
        write_plan(PlanStore(check.plans), check.model(role), gpu, check.largest_batch)
        assert disagreements(check, role) == (2, [])


def test_classes_agree_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpu(monkeypatch)
    write_pair_of_classes(tmp_path)
    check = GpuCheck("cuda", tmp_path, tmp_path / "work", tmp_path, "tiny", (320, 192), quick=True)
    gpu: Any = open_device("cuda")
    write_plan(PlanStore(check.plans), check.model("teacher"), gpu, check.largest_batch)
    assert disagreements(check, "teacher") == (2, [])


def test_an_engine_that_cannot_be_run_says_why_and_hides_no_other(
    tiny: GpuCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Engine:
        raise PlanError("not for this GPU")

    tiny.halves.mkdir(parents=True)
    tiny.model("teacher", "halved").write_bytes(tiny.model("teacher").read_bytes())
    monkeypatch.setitem(globals(), "load_engine", refuse)
    several = ["teacher, onnx runtime fp32: not for this GPU", "teacher, onnx runtime fp16: not for this GPU"]
    assert disagreements(tiny, "teacher") == (2, several)


def test_a_difference_is_seen_peak_by_peak() -> None:
    def said(x: float, score: float) -> dict[str, np.ndarray]:
        points = np.array([[[x, 1.0], [9.0, 9.0]]])
        return {
            "points": points,
            "boxes": np.tile(points, 2),
            "scores": np.array([[score, 0.1]]),
            "embeddings": np.ones((1, 2, 3)),
        }

    assert set(_differences(said(1, 0.5), said(1, 0.5)).values()) == {0.0}
    found = _differences(said(1, 0.5), said(1.25, 0.4))
    assert found["points"] == found["boxes"] == 0.25 and found["scores"] == pytest.approx(0.1)
