"""Plans: TensorRT engines on disk, each with a manifest that says what it was built from, by what and for which GPU.

A plan is only used where it fits. Where it does not, `PlanError` says what differs and the command that mends it.
"""

import hashlib
import json
import os
import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import Any, Literal, Self

from engines.errors import MAKE_PLAN, PlanError, PlanTooSmallError
from engines.files import whole
from engines.gpu import Gpu

RuntimeName = Literal["tensorrt", "tensorrt_rtx"]
ANY = "any"
"""Compute capability of a plan that is not tied to a GPU: TensorRT-RTX finishes such plans when they are loaded."""
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class PlanKey:
    """All that a plan depends on; equal keys mean that a plan can be used again."""

    model_sha256: str
    """Of the exported model file, before its precision was changed."""
    runtime: RuntimeName
    runtime_version: str
    compute_capability: str
    """Such as '8.7', or ANY."""
    driver_major: int
    """Of CUDA as the driver speaks it; 0 for a plan for any GPU."""
    precision: str
    max_batch: int
    """The profile's largest batch; the smallest is 1."""
    optimum_batch: int
    """The batch that the builder tuned for."""
    calibrate: str = ""
    """Source of the frames that int8 was calibrated with; empty for other precisions."""
    calibration_frames: int = 0
    """How many."""
    size: str = ""
    """Such as '576x320': the input, of a model file with open sizes; empty for one that has a size of its own."""

    @property
    def digest(self) -> str:
        """Short name of this key."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:10]

    def differences(self, other: "PlanKey") -> list[str]:
        """What keeps a plan of this key from standing in for one of `other`, as 'name: here, there'."""
        found = []
        for name, here in asdict(self).items():
            there = getattr(other, name)
            for_any = self.compute_capability == ANY and name in ("compute_capability", "driver_major")
            if here != there and not for_any:
                found.append(f"{name.replace('_', ' ')} {here}, not {there}")
        return found


@dataclass(frozen=True, slots=True)
class Manifest:
    """Stands beside each plan as JSON."""

    key: PlanKey
    model: str
    """Path of the model file as it was given to the builder."""
    signature: Mapping[str, str]
    """The model file's metadata: `engines.signature.Signature.from_metadata`."""
    gpu: str
    """The GPU's model, for people; empty for a plan for any GPU."""
    built_at: str
    seconds: float
    """How long the build took."""
    plan_sha256: str
    schema: int = SCHEMA

    def to_json(self) -> str:
        """Indented JSON."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read back. Raises ValueError, KeyError or TypeError for anything else."""
        table: dict[str, Any] = json.loads(text)
        if table["schema"] != SCHEMA:
            raise ValueError(f"schema {table['schema']}, expected {SCHEMA}")
        return cls(**{**table, "key": PlanKey(**table["key"])})

    def command(self, output: Path) -> str:
        """The command that builds this plan for the machine it is run on."""
        key = self.key
        words = [*MAKE_PLAN.split(), self.model, "--runtime", key.runtime, "--precision", key.precision]
        words += ["--max-batch", str(key.max_batch)]
        if key.optimum_batch != key.max_batch:
            words += ["--optimum-batch", str(key.optimum_batch)]
        if key.size:
            words += ["--size", key.size]
        if key.calibrate:
            words += ["--calibrate", key.calibrate, "--calibration-frames", str(key.calibration_frames)]
        return shlex.join([*words, "--output", str(output)])


def plans_folder() -> Path:
    """Where plans are kept unless a folder is named: ATTTRACK_PLANS_DIR, else the user's cache."""
    if named := os.environ.get("ATTTRACK_PLANS_DIR"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "atttrack" / "plans"


def file_sha256(path: Path) -> str:
    """Hex digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class PlanStore:
    """A folder of plans. Several processes may use it at a time: files appear whole, and each plan is built once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: PlanKey, model: Path) -> Path:
        """Where the plan of `key` is or will be."""
        capability = "any" if key.compute_capability == ANY else "sm" + key.compute_capability.replace(".", "")
        stem = f"{model.stem}-{key.size}" if key.size else model.stem
        name = f"{stem}-{key.precision}-b{key.max_batch}-{key.runtime}-{capability}-{key.digest}.plan"
        return self.folder / name

    @contextmanager
    def locked(self, path: Path) -> Iterator[None]:
        """Hold the right to build the plan at `path`; waits while another process does."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with path.with_suffix(".lock").open("w") as lock:
            flock(lock, LOCK_EX)
            yield

    def write(self, path: Path, plan: bytes, manifest: Manifest) -> None:
        """Save both; a reader sees either all of a plan or none of it."""
        for file, content in ((path, plan), (path.with_suffix(".json"), manifest.to_json().encode())):
            with whole(file) as partial:
                partial.write_bytes(content)

    def manifests(self) -> Iterator[tuple[Path, Manifest]]:
        """All plans of the folder whose manifest can be read, the newest first."""
        files = sorted(self.folder.glob("*.plan"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in files:
            try:
                yield path, read_manifest(path)
            except PlanError:
                continue


def read_manifest(path: Path) -> Manifest:
    """The manifest beside the plan at `path`. Raises PlanError where either is missing or the manifest is none."""
    beside = path.with_suffix(".json")
    if not path.is_file():
        raise PlanError(f"no plan at {path}; make it with: {MAKE_PLAN} MODEL.onnx --output {path.parent}")
    try:
        return Manifest.from_json(beside.read_text())
    except FileNotFoundError:
        problem = "has no manifest beside it"
    except (ValueError, KeyError, TypeError) as error:
        problem = f"has a manifest that cannot be read ({error})"
    raise PlanError(f"{path} {problem}; make it again with: {MAKE_PLAN} MODEL.onnx --output {path.parent}")


def read_plan(path: Path, manifest: Manifest) -> bytes:
    """The plan's bytes. Raises PlanError unless they are those of the manifest."""
    plan = path.read_bytes()
    if hashlib.sha256(plan).hexdigest() != manifest.plan_sha256:
        raise PlanError(f"{path} is damaged; make it again with: {manifest.command(path.parent)}")
    return plan


def check_fits(path: Path, manifest: Manifest, version: str, gpu: Gpu, max_batch: int = 1) -> None:
    """Raise PlanError, with the remedy, unless the plan at `path` fits this runtime, GPU and driver, and the batch."""
    key = manifest.key
    here = replace(
        key,
        runtime_version=version,
        compute_capability=gpu.compute_capability,
        driver_major=gpu.driver_major,
        max_batch=max(key.max_batch, max_batch),
    )
    if differences := key.differences(here):
        command = replace(manifest, key=here).command(path.parent)
        alone = len(differences) == 1 and key.max_batch < max_batch
        raise (PlanTooSmallError if alone else PlanError)(
            f"plan {path.name} does not fit here: built for {'; '.join(differences)}; run: {command}"
        )


def now() -> str:
    """The time in UTC, for manifests."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
