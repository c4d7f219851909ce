"""Everything that only a GPU can show, by one command: is it right, and how fast is it.

    python -m benchmarks.gpu_check --kit kit --out out
    python -m benchmarks.gpu_check --device cpu --quick --out out        (the rehearsal, which is also its test)

Each step runs in a process of its own under a time limit, and is saved in OUT/gpu_check.json as soon as it is done: a
crash or a long build costs that step alone. Steps that are there already for this commit are not run again. All of it
takes less than nine minutes. The kit (`make gpu-kit`) is a folder of wheels (.whl) and archives (.txz) with what the
machine lacks.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any

RESULT = "gpu_check.json"
BUDGET_S = 525.0
ROOT = Path(__file__).resolve().parent.parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the steps; 1 where one failed."""
    options = _parser().parse_args(arguments)
    if options.step:
        return _child(options)
    options.out.mkdir(parents=True, exist_ok=True)
    environment = _environment(options.kit)
    result = _read(options.out / RESULT)
    commit = _commit()
    deadline_s = perf_counter() + options.budget
    for step, limit_s in _limits(environment).items():
        done = result.get(step, {})
        if not options.again and done.get("status") in ("ok", "skipped") and done.get("commit") == commit:
            print(f"{step:12} done before", flush=True)
            continue
        left_s = deadline_s - perf_counter()
        result[step] = _run(step, options, environment, min(limit_s, left_s)) | {"commit": commit}
        _write(options.out / RESULT, result)
        print(
            f"{step:12} {result[step]['status']:8} {result[step]['seconds']:6.1f} s  {_why(result[step])}", flush=True
        )
    _write(options.out / RESULT, result | {"targets": targets(result)})
    print(json.dumps(targets(result), indent=1))
    return int(any(entry["status"] == "failed" for name, entry in result.items() if name != "targets"))


def targets(result: dict[str, Any]) -> dict[str, Any]:
    """What was aimed at beside what was measured; None where a step is missing."""
    law, lanes = _get(result, "law"), _get(result, "lanes")
    at_64 = lanes.get("64", {})
    return {
        "c below 0.3 ms per student frame": law.get("c_ms"),
        "law fits within 0.05": law.get("worst_residual"),
        "pipeline at K=6 above 0.9 of the engines alone": law.get("share_of_engines", {}).get("6"),
        "one stream at K=6 above 400 FPS": law.get("fps_by_k", {}).get("6"),
        "64 streams above 1920 FPS in total": at_64.get("fps_total"),
        "64 streams: a tick's p95 below 100 ms": at_64.get("tick_ms", {}).get("p95"),
    }


def _run(step: str, options: argparse.Namespace, environment: dict[str, str], limit_s: float) -> dict[str, Any]:
    """One step in a process of its own."""
    if limit_s < 5:
        return {"status": "failed", "seconds": 0.0, "error": "no time left"}
    command = [sys.executable, "-m", "benchmarks.gpu_check", "--step", step, "--device", options.device]
    command += ["--out", str(options.out.resolve()), "--pair", options.pair, "--size", options.size]
    command += ["--models", str(options.models.resolve()), *(["--quick"] if options.quick else [])]
    started_s = perf_counter()
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=limit_s, check=False
        )
    except subprocess.TimeoutExpired:
        return {"status": "failed", "seconds": round(limit_s, 1), "error": f"longer than {limit_s:.0f} s"}
    seconds = {"seconds": round(perf_counter() - started_s, 1)}
    try:
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        return {"status": "failed", **seconds, "error": f"exit {done.returncode}: {done.stderr[-600:]}"}
    return found | seconds


def _child(options: argparse.Namespace) -> int:
    """The step itself; its last line of output is its result."""
    from benchmarks.gpu_steps import STEPS, Skip
    from benchmarks.gpu_subject import Check

    width, _, height = options.size.partition("x")
    check = Check(
        device=options.device,
        out=options.out.resolve(),
        plans=_work_folder() / "plans",
        models=options.models.resolve(),
        pair=options.pair,
        size=(int(width), int(height)),
        quick=options.quick,
    )
    try:
        result = STEPS[options.step][0](check)
        status = "ok" if result.get("passed", True) else "failed"
        print(json.dumps({"status": status, "result": result}, default=float))
    except Skip as reason:
        print(json.dumps({"status": "skipped", "error": str(reason)}))
    except Exception as error:  # whatever it is, the other steps go on
        print(json.dumps({"status": "failed", "error": f"{type(error).__name__}: {error}"[:2000]}))
        raise
    return 0


def _environment(kit: Path | None) -> dict[str, str]:
    """For the steps: the kit's packages first, and the CUDA libraries that came with Python packages."""
    paths = [str(ROOT)] + ([str(_unpack(kit))] if kit else [])
    libraries = [str(folder) for entry in (*paths, *sys.path) for folder in sorted(Path(entry).glob("nvidia/*/lib"))]
    known = {name: os.environ.get(name, "") for name in ("PYTHONPATH", "LD_LIBRARY_PATH")}
    return os.environ | {
        "PYTHONPATH": os.pathsep.join([*paths, known["PYTHONPATH"]]).strip(os.pathsep),
        "LD_LIBRARY_PATH": os.pathsep.join([*libraries, known["LD_LIBRARY_PATH"]]).strip(os.pathsep),
        "ATTTRACK_PLANS_DIR": str(_work_folder() / "plans"),
    }


def _unpack(kit: Path) -> Path:
    """The folder with the kit's packages; unpacked once per content."""
    files = sorted([*kit.glob("*.whl"), *kit.glob("*.txz"), *kit.glob("*/*.txz")])
    if not files:
        raise SystemExit(f"no .whl or .txz in {kit}; make one with: make gpu-kit")
    name = hashlib.sha256(repr([(file.name, file.stat().st_size) for file in files]).encode()).hexdigest()[:10]
    site = _work_folder() / f"site-{name}"
    if not (site / ".complete").exists():
        site.mkdir(parents=True, exist_ok=True)
        for file in files:
            if file.suffix == ".whl":
                with zipfile.ZipFile(file) as wheel:
                    wheel.extractall(site)  # noqa: S202  # our own kit
            else:
                with tarfile.open(file) as archive:
                    archive.extractall(site, filter="data")  # our own kit, and nothing leaves `site`
        (site / ".complete").touch()
    return site


def _work_folder() -> Path:
    """For what is large and can be made again."""
    return Path(tempfile.gettempdir()) / f"atttrack-gpu-check-{os.getuid()}"


def _limits(environment: dict[str, str]) -> dict[str, float]:
    """Names and time limits of the steps, asked for in a process that has the kit."""
    program = (
        "import json; from benchmarks.gpu_steps import STEPS; print(json.dumps({n: s[1] for n, s in STEPS.items()}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"the program cannot be imported here; is something missing in the kit?\n{done.stderr[-800:]}")
    limits: dict[str, float] = json.loads(done.stdout)
    return limits


def _commit() -> str:
    """Empty outside of a checkout, and where there is no git."""
    command = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    with suppress(FileNotFoundError):
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return ""


def _get(result: dict[str, Any], step: str) -> dict[str, Any]:
    found: dict[str, Any] = result.get(step, {}).get("result", {})
    return found


def _why(entry: dict[str, Any]) -> str:
    lines = str(entry.get("error", "")).splitlines()
    return lines[-1][:160] if lines else ""


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found


def _write(path: Path, result: dict[str, Any]) -> None:
    """Whole or not at all."""
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(result, indent=1) + "\n")
    beside.replace(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu_check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kit", type=Path, metavar="DIR", help="what the machine lacks; see make gpu-kit")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the result and the picture")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="default cuda")
    parser.add_argument("--quick", action="store_true", help="tiny settings, for a rehearsal")
    parser.add_argument("--models", type=Path, default=ROOT / "models", metavar="DIR", help="default: the shipped ones")
    parser.add_argument("--pair", default="yolo", help="default yolo")
    parser.add_argument("--size", default="1088x608", metavar="WxH", help="default 1088x608")
    parser.add_argument(
        "--budget", type=float, default=BUDGET_S, metavar="S", help="seconds for all (default %(default)s)"
    )
    parser.add_argument("--again", action="store_true", help="also run steps that are done")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
