"""The whole check on the CPU and on a GPU made of host memory: every step runs, is saved when done, and fails alone."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu import check as gpu_check
from benchmarks.gpu import process as gpu_process
from benchmarks.gpu import steps as gpu_steps
from benchmarks.gpu.check import LIMITS, main, to_do
from benchmarks.gpu.steps import STEPS, Skip
from benchmarks.gpu.subject import RESULT, ROLES, VARIABLE, GpuCheck
from benchmarks.gpu.verdicts import BARS, verdicts
from engines.errors import PlanError
from engines.load import open_device
from engines.plan import PlanStore
from tests.support.cuda_runtime import with_gpu
from tests.support.plans import write_plan
from tests.support.tiny_pair import write_tiny_pair

SIZE = (320, 192)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    write_tiny_pair(folder)
    return folder


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing of a test is left on the machine, and nothing on the machine is used."""
    monkeypatch.setattr(gpu_check, "work_folder", lambda: tmp_path / "work")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path / "work"


def arguments(models: Path, out: Path, *more: str) -> list[str]:
    common = ["--device", "cpu", "--quick", "--pair", "tiny", "--size", "320x192"]
    return [*common, "--models", str(models), "--output", str(out), *more]


def read(out: Path) -> dict[str, Any]:
    return json.loads((out / f"{RESULT}.json").read_text())


def subject(models: Path, out: Path, device: str = "cpu", **options: Any) -> GpuCheck:
    options = {"quick": True} | options
    return GpuCheck(device, out, out / "work", models, pair="tiny", size=SIZE, **options)


def run_all(check: GpuCheck) -> dict[str, Any]:
    """Every step in this process, each knowing the ones before as it would."""
    check.out.mkdir(exist_ok=True)
    results: dict[str, Any] = {}
    for name in LIMITS:
        try:
            results[name] = {"status": "ok", "result": STEPS[name](check)}
        except Skip as reason:
            results[name] = {"status": "skipped", "error": str(reason)}
        (check.out / f"{RESULT}.json").write_text(json.dumps(results, default=float))
    return results


# --- verdicts


def test_no_result_gives_verdicts_without_numbers() -> None:
    found = verdicts({})
    assert {entry["met"] for entry in found["bars"].values()} == {None} and len(found["bars"]) == len(BARS)
    assert found["measured_on"] is found["with"] is None


def test_each_bar_is_met_or_not_and_says_by_what() -> None:
    def results(better: float) -> dict[str, Any]:
        law = {
            "halved": {
                "fps_by_k": {"6": 410 * better},
                "c_ms": 0.28 / better,
                "worst_residual": 0.04 / better,
                "share_of_engines": {"6": 0.95 * better},
            },
            "served": {"fps_by_k": {"6": 100.0}, "c_ms": 9.0},
        }
        paced = {"fps_total": 1915 * better, "age_ms": {"p95": 80 / better}}
        passed = {"result": {"passed": better > 0.9}}
        return {
            "environment": {"result": {"gpu": {"name": "H200"}}},
            "law": {"result": law},
            "lanes": {"result": {"64": {"paced": paced}}},
        } | dict.fromkeys(("kernels", "parity", "sanitizer"), passed)

    good, bad = verdicts(results(1.0)), verdicts(results(0.7))
    assert (good["measured_on"], good["with"]) == ("H200", "halved")
    assert {entry["met"] for entry in good["bars"].values()} == {True}
    assert {entry["met"] for entry in bad["bars"].values()} == {False}
    fps = good["bars"]["one stream at K=6, FPS (stated for an H200 at 1088x608)"]
    assert fps == {"measured": 410, "bar": "above 400", "met": True}


# --- every step


def check_results(results: dict[str, Any], skipped: set[str]) -> None:
    """What must be in them on any machine."""
    assert {name for name, entry in results.items() if entry["status"] == "skipped"} == skipped, results
    found = {name: entry.get("result", {}) for name, entry in results.items()}
    assert set(found["law"]) >= {"served"}
    for law in found["law"].values():
        assert set(law["fps_by_k"]) == {"1", "3"} and set(law["share_of_engines"]) == {"1", "3"}
        assert law["stages_ms_per_frame"]["atttrack K=3"]["association"] > 0
    for lanes in found["lanes"].values():
        assert lanes["fps_total"] > 0 and lanes["tick_ms"]["p95"] > 0
        assert lanes["paced"]["fps_total"] > 0 and lanes["paced"]["age_ms"]["p95"] > 0, lanes
    assert set(found["lanes"]) == {"1", "2"}


def test_every_step_runs_on_the_cpu(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_steps, "which", lambda name: None)
    monkeypatch.setattr(gpu_steps, "_tests", lambda *_: {"passed": True})  # in processes of their own: below
    monkeypatch.setattr(gpu_steps, "find_spec", lambda name: None if name.startswith("tensorrt") else object())
    results = run_all(subject(models, tmp_path / "out"))
    check_results(results, {"sanitizer", "plans"})
    assert set(results["law"]["result"]) == {"halved", "served"}
    assert results["plans"]["error"] == "neither tensorrt nor tensorrt_rtx is installed"


def build_plans(check: GpuCheck, runtime: str, roles: list[str]) -> dict[str, Any]:
    """In the place of TensorRT's builder."""
    gpu: Any = open_device("cuda")
    for role in roles:
        write_plan(PlanStore(check.plans), check.model(role), gpu, check.largest_batch)
    return {"seconds": 0.1, "failed": ""}


def test_every_step_runs_on_a_gpu_made_of_host_memory(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_gpu(monkeypatch)
    sanitized: list[list[str]] = []

    run = subprocess.run

    def sanitize(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        if "compute-sanitizer" not in command[0]:
            return run(command, **options)
        sanitized.append(command)
        return subprocess.CompletedProcess(command, 0, "========= ERROR SUMMARY: 0 errors\n", "")

    monkeypatch.setattr(gpu_steps, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(gpu_steps.subprocess, "run", sanitize)
    monkeypatch.setattr(gpu_steps, "find_spec", lambda name: object() if name != "tensorrt_rtx" else None)
    monkeypatch.setattr(gpu_steps, "_build", build_plans)
    monkeypatch.setattr(gpu_steps, "_tests", lambda *_: {"passed": True})
    results = run_all(subject(models, tmp_path / "out", "cuda"))
    check_results(results, set())
    assert results["environment"]["result"]["gpu"]["compute_capability"] == "9.0"
    assert set(results["law"]["result"]["served"]["engines"].values()) == {"TensorRtEngine"}
    kinds = [command[2] for command in sanitized if command[0].endswith("compute-sanitizer")]
    assert kinds == ["memcheck", "initcheck", "synccheck"]
    found = verdicts(results)
    assert found["measured_on"] == "host driver" and found["with"] == "served"
    assert found["bars"]["compute-sanitizer finds nothing in the kernels"]["met"] is True


def test_a_runtime_that_cannot_run_its_plans_here_is_left_out_and_says_why(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_gpu(monkeypatch)
    monkeypatch.setattr(gpu_steps, "find_spec", lambda name: object() if name == "tensorrt_rtx" else None)
    monkeypatch.setattr(gpu_steps, "_build", build_plans)

    def refuse(*_: Any) -> None:
        raise PlanError("sm_90 is not supported")

    monkeypatch.setattr(gpu_steps, "TensorRtEngine", refuse)
    check = subject(models, tmp_path, "cuda")
    with pytest.raises(Skip, match="tensorrt_rtx: sm_90 is not supported"):
        STEPS["plans"](check)
    assert not check.plans.exists(), "the pipeline would try them again and again"


def test_plans_are_built_by_the_command_that_users_have(models: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="no tensorrt-rtx here; on x86-64: pip install -e '.[plans]'")
    check = subject(models, tmp_path)
    found = STEPS["plans"](check)
    assert found["tensorrt_rtx"]["failed"] == ""
    built = list(PlanStore(check.plans).manifests())
    assert {Path(manifest.model) for _, manifest in built} == {check.model(role) for role in ROLES}
    assert {manifest.key.max_batch for _, manifest in built} == {check.largest_batch}
    whole = subject(models, tmp_path, quick=False)
    assert whole.largest_batch == max(whole.lane_counts) == 64


def test_steps_and_limits_have_the_same_names() -> None:
    assert list(STEPS) == list(LIMITS)


def test_the_tests_of_a_step_tell_what_failed_and_which_could_not_run(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = subject(models, tmp_path)
    for name, value in check.as_environment().items():
        monkeypatch.setenv(name, value)
    assert STEPS["parity"](check) == {"tests": 3, "failed": {}, "passed": True}
    with pytest.raises(Skip, match="no GPU"):
        STEPS["kernels"](check)
    check.model("student-plain").write_bytes(b"nothing")
    found = STEPS["parity"](check)
    assert (found["tests"], found["passed"], len(found["failed"])) == (3, False, 1)
    assert "is no model that ONNX Runtime can read" in str(found["failed"])
    monkeypatch.setattr(gpu_steps, "find_spec", lambda name: None)
    with pytest.raises(Skip, match="pytest and hypothesis not installed"):
        STEPS["parity"](check)


# --- processes, budget, order


def test_steps_run_in_processes_are_saved_and_not_run_again(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    (models / "tiny-student-plain-320x192.onnx").write_bytes(b"nothing")
    monkeypatch.setattr(gpu_check, "LIMITS", {"environment": 120.0, "parity": 120.0, "law": 120.0})
    assert main(arguments(models, out)) == 1
    result = read(out)
    assert {name: result[name]["status"] for name in gpu_check.LIMITS} == {
        "environment": "ok",
        "parity": "failed",
        "law": "failed",
    }
    assert "is no model that ONNX Runtime can read" in result["law"]["error"]
    assert result["verdicts"]["bars"]["engines agree with ONNX Runtime on the CPU"]["met"] is False
    assert "NOT MET               0     above 0.5  engines agree" in capsys.readouterr().out
    tried: list[str] = []

    def note(command: list[str], *_: Any) -> dict[str, Any]:
        tried.append(command[command.index("--step") + 1])
        return {"status": "ok", "seconds": 0.1, "result": {}}

    monkeypatch.setattr(gpu_check, "run", note)
    assert main(arguments(models, out)) == 0 and tried == ["parity", "law"], "what is done is not run again"
    assert main(arguments(models, out)) == 0 and tried == ["parity", "law"]
    assert main(arguments(models, out, "--size", "576x320")) == 0 and len(tried) == 5, "other options, other results"
    assert main(arguments(models, out, "--size", "576x320", "--again")) == 0 and len(tried) == 8


def test_what_there_is_no_time_for_is_left_and_comes_first_the_next_time(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[float] = []
    clock = iter(range(0, 10_000, 100))  # each look takes 100 s

    def fail(command: list[str], variables: Any, limit_s: float) -> dict[str, Any]:
        limits.append(limit_s)
        return {"status": "failed", "seconds": limit_s, "error": "broken"}

    monkeypatch.setattr(gpu_check, "LIMITS", {"a": 60.0, "b": 80.0, "c": 120.0, "d": 60.0})
    monkeypatch.setattr(gpu_check, "run", fail)
    monkeypatch.setattr(gpu_check, "perf_counter", lambda: float(next(clock)))
    assert main(arguments(models, tmp_path, "--budget", "270")) == 1
    results = read(tmp_path)
    assert limits == [60.0, 70.0], "170 s were left, then 70"
    assert {name: results[name]["status"] for name in "abcd"} == {
        "a": "failed",
        "b": "failed",
        "c": "left",
        "d": "left",
    }
    assert results["c"]["error"] == "0 s were left; run it again"
    print_of = results["a"]["fingerprint"]
    assert to_do(results, print_of, again=False) == ["c", "d", "a", "b"]
    assert to_do(results, "other programs", again=False) == ["a", "b", "c", "d"]
    assert to_do(results, print_of, again=True) == ["a", "b", "c", "d"]


def test_the_budget_keeps_the_command_under_nine_minutes() -> None:
    options = gpu_check._parser().parse_args(["--out", "x"])
    assert options.budget <= 9 * 60 - 25, "a step that is killed at the budget's end, and what comes after it"


def step(program: str, limit_s: float = 60.0) -> dict[str, Any]:
    command = [sys.executable, "-c", f"from benchmarks.gpu.process import say\n{program}"]
    return gpu_process.run(command, {"PYTHONPATH": str(gpu_process.ROOT)}, limit_s)


def test_a_step_that_says_nothing_failed() -> None:
    entry = step("import sys; print('{', file=sys.stderr); sys.exit(3)")
    assert entry["status"] == "failed" and entry["error"].startswith("exit 3: {")


def test_the_last_word_counts_whatever_libraries_print() -> None:
    entry = step("say('partial', result={'a': 1}); say('ok', result={'a': 2}); print('bye'); print('{\"status\": \"o')")
    assert (entry["status"], entry["result"]) == ("ok", {"a": 2})


def test_a_step_that_crashes_keeps_what_it_noted() -> None:
    entry = step("say('partial', result={'a': 1}); import os; os.kill(os.getpid(), 11)")
    assert entry["status"] == "partial" and entry["result"] == {"a": 1} and "exit -11" in entry["error"]


def test_a_step_longer_than_its_limit_is_ended_with_its_children_and_keeps_what_it_noted() -> None:
    program = (
        "import subprocess, sys, time; say('partial', result={'a': 1});"
        "subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
    )
    entry = step(program, 6.0)
    assert entry["seconds"] < 60, "a child that holds the pipes would keep us waiting"
    assert entry["status"] in ("partial", "failed") and entry["error"] == "ended after 6 s"


def test_an_interrupt_ends_the_step_too(monkeypatch: pytest.MonkeyPatch) -> None:
    processes: list[subprocess.Popen[str]] = []

    def interrupted(self: "subprocess.Popen[str]", *_: object, **__: object) -> None:
        processes.append(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "communicate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        step("import time; time.sleep(600)")
    assert processes[0].wait(30) == -9


# --- what makes a result out of date


def test_the_fingerprint_follows_options_programs_and_model_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_process, "ROOT", tmp_path)
    source, model = tmp_path / "service" / "worker.py", tmp_path / "yolo.onnx"
    source.parent.mkdir()
    model.write_bytes(b"one")
    seen = {
        gpu_process.fingerprint({}, []),
        gpu_process.fingerprint({"device": "cpu"}, []),
        gpu_process.fingerprint({}, [model]),
    }
    model.write_bytes(b"two")
    seen.add(gpu_process.fingerprint({}, [model]))
    source.write_text("# one")
    seen.add(gpu_process.fingerprint({}, []))
    source.write_text("# two")
    assert gpu_process.fingerprint({}, []) == gpu_process.fingerprint({}, [])
    assert len(seen | {gpu_process.fingerprint({}, [])}) == 6


def test_another_networks_files_are_measured_anew(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []

    def succeed(command: Sequence[str], variables: dict[str, str], *_: object) -> dict[str, Any]:
        begun.append(json.loads(variables[VARIABLE])["models"])
        return {"status": "ok", "seconds": 0.0}

    monkeypatch.setattr(gpu_check, "LIMITS", {"a": 60.0})
    monkeypatch.setattr(gpu_check, "run", succeed)
    for _ in range(2):
        assert main(arguments(models, tmp_path)) == 0
    assert len(begun) == 1
    others = tmp_path / "others"
    others.mkdir()
    assert main(arguments(others, tmp_path)) == 0
    assert begun == [str(models), str(others)]
