"""Is it right: kernels against their specification, engines against ONNX Runtime on the CPU."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.gpu.subject import ROLES, Check
from edge.arrays import I32
from edge.ops.base import MovedHeatmap
from edge.ops.host import HostOps
from edge.ops.letterbox import Letterbox
from edge.pipeline.backend import ops_on
from engines.device import Array, CudaStream, Device
from engines.engine import Engine
from engines.errors import EngineError
from engines.host import HostDevice
from engines.load import open_device
from engines.onnx_engine import OnnxEngine
from engines.signature import BOXES, EMBEDDINGS, HEATMAP, IMAGE, POINTS, PRIOR, SCORES

Values = np.ndarray[Any, Any]

TOLERANCE: Mapping[str, Mapping[str, float]] = {
    "fp32": {HEATMAP: 1e-3, SCORES: 2e-3, POINTS: 0.02, BOXES: 0.25, EMBEDDINGS: 5e-3},
    "fp16": {HEATMAP: 5e-3, SCORES: 1e-2, POINTS: 0.05, BOXES: 1.0, EMBEDDINGS: 2e-2},
}
"""Largest difference to ONNX Runtime on the CPU where the score is 0.3 or more."""


def kernels(check: Check) -> dict[str, Any]:
    """Letterbox, ownership and extrapolation against their specification, `edge.ops.host`."""
    device = open_device(check.device)
    ops, reference, rng = ops_on(device), HostOps(), np.random.default_rng(0)
    queue, host_queue = device.cuda_stream(), HostDevice().cuda_stream()
    width, height = check.size
    worst = {"letterbox": 0.0, "own": 0.0, "extrapolate": 0.0}
    for sizes in (((1280, 720), (1920, 1080)), ((641, 359), (319, 577), (64, 64)), ((width, height),)):
        images = [rng.integers(0, 256, (h, w, 3), np.uint8) for w, h in sizes]
        boxes = [Letterbox(w, h, width, height) for w, h in sizes]
        expected = np.empty((len(sizes), 3, height, width), np.uint8)
        reference.letterbox(images, boxes, expected, host_queue)
        out = device.empty(expected.shape, np.uint8)
        ops.letterbox(images, boxes, out, queue)
        got = _to_host(device, out, expected.shape, np.uint8, queue)
        worst["letterbox"] = max(worst["letterbox"], float(np.abs(got.astype(int) - expected).max()))
    h, w = height // 4, width // 4
    for count in (0, 1, 50, 500):
        centres = rng.integers(-10, max(h, w) + 10, (count, 2)).astype(np.int32)
        radii = rng.integers(0, 30, count).astype(np.int32)
        owners = np.empty((h, w), np.int32)
        reference.own(centres, radii, owners, host_queue)
        on_device = device.empty((h, w), np.int32)
        ops.own(centres, radii, on_device, queue)
        got = _to_host(device, on_device, (h, w), np.int32, queue)
        worst["own"] = max(worst["own"], float(np.abs(got - owners).max()))
        heatmap = rng.random((h, w), np.float32)
        kept = device.empty((h, w), np.float32)
        device.copy(heatmap, kept, queue)
        shifts: tuple[I32, ...] = (np.zeros((count, 2), np.int32), rng.integers(-40, 40, (count, 2)).astype(np.int32))
        prior = np.empty((2, 1, h, w), np.float32)
        reference.extrapolate([MovedHeatmap(heatmap, owners, shift) for shift in shifts], prior, host_queue)
        out = device.empty(prior.shape, np.float32)
        ops.extrapolate([MovedHeatmap(kept, on_device, shift) for shift in shifts], out, queue)
        got = _to_host(device, out, prior.shape, np.float32, queue)
        worst["extrapolate"] = max(worst["extrapolate"], float(np.abs(got - prior).max()))
    return {"worst_difference": worst, "passed": worst["letterbox"] <= 1 and not worst["own"] + worst["extrapolate"]}


def parity(check: Check) -> dict[str, Any]:
    """Every engine against ONNX Runtime on the CPU, on drawn frames."""
    device = open_device(check.device)
    found: dict[str, Any] = {}
    for role in ROLES:
        feeds = _feeds(check, role)
        expected = _outputs(OnnxEngine(check.model(role)), HostDevice(), feeds)
        for way in check.ways(role, device):
            try:
                found[f"{role}, {way.name}"] = _compared(expected, _outputs(way.load(), device, feeds), way.precision)
            except EngineError as error:  # one way that fails must not hide the others
                found[f"{role}, {way.name}"] = {"error": str(error), "passed": False}
            check.note(found)
    return found | {"passed": all(entry["passed"] for entry in found.values())}


def _compared(expected: Mapping[str, Values], got: Mapping[str, Values], precision: str) -> dict[str, Any]:
    differences, limits = _differences(expected, got), TOLERANCE[precision]
    passed = all(value <= limits[name] for name, value in differences.items())
    return {"differences": differences, "passed": passed}


def _feeds(check: Check, role: str) -> dict[str, Values]:
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
    arrays = engine.signature.output_arrays(batch)
    return {name: _to_host(device, execution.outputs[name], *arrays[name], queue) for name in arrays}


def _differences(expected: Mapping[str, Values], got: Mapping[str, Values]) -> dict[str, float]:
    """Largest per output, peak by peak, since equal scores may be ranked either way."""
    worst = dict.fromkeys(expected, 0.0)
    if HEATMAP in expected:
        worst[HEATMAP] = float(np.abs(expected[HEATMAP] - got[HEATMAP]).max())
    for image in range(len(expected[SCORES])):
        for row in np.flatnonzero(expected[SCORES][image] > 0.3):
            match = int(np.abs(got[POINTS][image] - expected[POINTS][image, row]).max(1).argmin())
            for name in (POINTS, BOXES, SCORES, EMBEDDINGS):
                worst[name] = max(
                    worst[name], float(np.abs(expected[name][image, row] - got[name][image, match]).max())
                )
    return worst


def _to_host(device: Device, array: Array, shape: tuple[int, ...], dtype: Any, queue: CudaStream) -> Values:
    host = device.host_empty(shape, dtype)
    device.copy(array, host, queue)
    queue.synchronize()
    return host.copy()
