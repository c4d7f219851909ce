"""Plans on disk: keys, manifests, files that appear whole, and refusals that name the remedy."""

import hashlib
import json
import os
import shlex
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest

from engines.errors import EngineError, PlanError
from engines.gpu import Gpu
from engines.plan import ANY, Manifest, PlanKey, PlanStore, check_fits, plans_folder, read_manifest, read_plan

ROOT = Path(__file__).resolve().parents[2]
KEY = PlanKey("ab" * 32, "tensorrt", "10.16.1.11", "8.6", 13, "fp16", 16, 8)
GPU = Gpu("a GPU", "8.6", 13)
PLAN = b"a plan"


def manifest(key: PlanKey = KEY, plan: bytes = PLAN) -> Manifest:
    sha256 = hashlib.sha256(plan).hexdigest()
    return Manifest(key, "models/a b.onnx", {"role": "student"}, "a GPU", "2026-01-01T00:00:00Z", 1.0, sha256)


@pytest.fixture
def store(tmp_path: Path) -> PlanStore:
    return PlanStore(tmp_path / "plans")


def saved(store: PlanStore, made: Manifest) -> Path:
    path = store.path(made.key, Path(made.model))
    with store.locked(path):
        store.write(path, PLAN, made)
    return path


def test_an_empty_or_missing_folder_has_no_plans(store: PlanStore) -> None:
    assert list(store.manifests()) == []


@pytest.mark.parametrize("field", [field.name for field in fields(PlanKey)])
def test_every_part_of_the_key_gives_another_plan(store: PlanStore, field: str) -> None:
    value = getattr(KEY, field)
    other = replace(KEY, **{field: value + 1 if isinstance(value, int) else f"{value}x"})
    model = Path("models/a.onnx")
    assert store.path(other, model) != store.path(KEY, model)


def test_what_was_written_is_read_back(store: PlanStore) -> None:
    path = saved(store, manifest())
    assert read_manifest(path) == manifest()
    assert read_plan(path, manifest()) == PLAN
    assert [found for found, _ in store.manifests()] == [path]
    assert not list(store.folder.glob(".*")), "no temporary file stays"


def test_the_newest_plan_comes_first(store: PlanStore) -> None:
    old, new = saved(store, manifest()), saved(store, manifest(replace(KEY, precision="int8")))
    os.utime(old, (1, 1))
    assert [found for found, _ in store.manifests()] == [new, old]


def test_a_failed_write_leaves_what_was_there(store: PlanStore, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(store, manifest())

    def fail(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        store.write(path, b"another", manifest(plan=b"another"))
    assert read_plan(path, read_manifest(path)) == PLAN
    assert not list(store.folder.glob(".*"))


def test_a_missing_plan_and_a_missing_or_broken_manifest_are_refused(store: PlanStore, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"no plan at .*make it with: python -m export\.to_plan"):
        read_manifest(tmp_path / "no.plan")
    path = saved(store, manifest())
    path.with_suffix(".json").write_text("{}")
    with pytest.raises(PlanError, match="manifest that cannot be read"):
        read_manifest(path)
    path.with_suffix(".json").write_text(json.dumps({**json.loads(manifest().to_json()), "schema": 99}))
    with pytest.raises(PlanError, match="schema 99, expected 1"):
        read_manifest(path)
    path.with_suffix(".json").unlink()
    with pytest.raises(PlanError, match="has no manifest beside it"):
        read_manifest(path)
    assert list(store.manifests()) == []


def test_a_damaged_plan_is_refused(store: PlanStore) -> None:
    path = saved(store, manifest())
    path.write_bytes(b"a plaN")
    with pytest.raises(PlanError, match="is damaged; make it again with: python -m"):
        read_plan(path, read_manifest(path))


@pytest.mark.parametrize(
    ("version", "gpu", "batch", "difference"),
    [
        ("11.4.0.106", GPU, 1, "runtime version 10.16.1.11, not 11.4.0.106"),
        ("10.16.1.11", replace(GPU, compute_capability="9.0"), 1, "compute capability 8.6, not 9.0"),
        ("10.16.1.11", replace(GPU, driver_major=12), 1, "driver major 13, not 12"),
        ("10.16.1.11", GPU, 17, "max batch 16, not 17"),
    ],
)
def test_a_plan_that_does_not_fit_names_the_difference_and_the_command(
    version: str, gpu: Gpu, batch: int, difference: str
) -> None:
    with pytest.raises(PlanError) as caught:
        check_fits(Path("plans dir/a.plan"), manifest(), version, gpu, batch)
    message = str(caught.value)
    assert difference in message and message.count(" not ") == 2
    command = shlex.split(message.partition("run: ")[2])
    assert command[:4] == ["python", "-m", "export.to_plan", "models/a b.onnx"]
    assert command[-2:] == ["--output", "plans dir"]
    assert command[command.index("--max-batch") + 1] == str(max(batch, 16))
    assert command[command.index("--optimum-batch") + 1] == "8"


def test_the_command_repeats_the_calibration() -> None:
    key = replace(KEY, precision="int8", calibrate="street.mp4", calibration_frames=32)
    command = manifest(key).command(Path("plans"))
    assert "--precision int8" in command and "--calibrate street.mp4 --calibration-frames 32" in command


def test_a_plan_that_fits_passes() -> None:
    check_fits(Path("a.plan"), manifest(), "10.16.1.11", GPU, 16)


def test_a_plan_for_any_gpu_fits_every_gpu_but_no_other_runtime() -> None:
    portable = manifest(replace(KEY, compute_capability=ANY, driver_major=0))
    check_fits(Path("a.plan"), portable, "10.16.1.11", Gpu("another", "12.0", 14))
    with pytest.raises(EngineError, match="runtime version"):
        check_fits(Path("a.plan"), portable, "10.17", Gpu("another", "12.0", 14))


def test_plans_are_kept_where_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("ATTTRACK_PLANS_DIR", raising=False)
    assert plans_folder() == tmp_path / "atttrack" / "plans"
    monkeypatch.setenv("ATTTRACK_PLANS_DIR", str(tmp_path / "mine"))
    assert plans_folder() == tmp_path / "mine"


def test_two_processes_never_build_the_same_plan_at_a_time(store: PlanStore) -> None:
    path = store.path(KEY, Path("a.onnx"))
    program = (
        "import sys; from pathlib import Path; from engines.plan import PlanStore\n"
        "with PlanStore(Path(sys.argv[1])).locked(Path(sys.argv[2])): print('in', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, str(store.folder), str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    with subprocess.Popen(command, **pipes) as first:
        assert first.stdout.readline() == "in\n"
        with subprocess.Popen(command, **pipes) as second:
            os.set_blocking(second.stdout.fileno(), False)
            assert first.poll() is None and second.stdout.readline() == ""
            first.communicate()
            os.set_blocking(second.stdout.fileno(), True)
            assert second.stdout.readline() == "in\n"
            second.communicate()
