"""Plans for the stand-in of TensorRT: the ONNX file itself, under a real manifest."""

import hashlib
from pathlib import Path

import onnx

from engines.gpu import Gpu
from engines.plan import Manifest, PlanKey, PlanStore, file_sha256, now
from tests.support import fake_tensorrt
from tests.support.host_gpu import HostGpu


def write_plan(store: PlanStore, model: Path, gpu: HostGpu | None = None, max_batch: int = 4) -> Path:
    """The path of a plan of `model` that fits `gpu` and `tests.support.fake_tensorrt`."""
    found = Gpu.of(gpu or HostGpu())
    key = PlanKey(
        model_sha256=file_sha256(model),
        runtime="tensorrt",
        runtime_version=fake_tensorrt.__version__,
        compute_capability=found.compute_capability,
        driver_major=found.driver_major,
        precision="fp32",
        max_batch=max_batch,
        optimum_batch=max_batch,
    )
    path, plan = store.path(key, model), model.read_bytes()
    metadata = {entry.key: entry.value for entry in onnx.load(model).metadata_props}
    with store.locked(path):
        store.write(
            path, plan, Manifest(key, str(model), metadata, found.name, now(), 0.1, hashlib.sha256(plan).hexdigest())
        )
    return path
