"""Everything that only a GPU can show, by one command: is it right, and how fast is it.

    atttrack bench gpu-check --output out
    atttrack bench gpu-check --device cpu --quick --output out        (the rehearsal, which is also its test)

Each step runs in a process of its own under a time limit, and is saved in OUT/gpu_check.json as soon as it is done: a
crash or a long build costs that step alone. The command ends within its budget, under nine minutes: what there is no
time for is left, and the same command, given again, goes on with that. What is done for these programs, model files and
options is not run again. For a machine without network: docs/AIRGAP.md.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter

from benchmarks.command import command
from benchmarks.conditions import save
from benchmarks.gpu.process import Entry, fingerprint, run, say
from benchmarks.gpu.subject import RESULT, GpuCheck, work_folder
from benchmarks.gpu.verdicts import verdicts
from edge.pipeline.backend import SHIPPED_MODELS, model_files
from edge.pipeline.config import SHIPPED_PAIR, parse_size

MODULE = "benchmarks.gpu.check"
BUDGET_S = 510.0
LIMITS: Mapping[str, float] = {
    "environment": 30,
    "kernels": 60,
    "plans": 120,
    "halved": 40,
    "parity": 90,
    "sanitizer": 90,
    "law": 90,
    "lanes": 120,
}
"""Steps, the most valuable first, and the most seconds that each may take. Few need them, so the sum is no plan."""
WORTH_IT = 1 / 4
"""A step begins only where this share of its limit is left."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the steps; 1 where one failed or is left to do."""
    started_s = perf_counter()
    options = _parser().parse_args(arguments)
    if options.step:
        return _child(options.step)
    asked = {name: getattr(options, name) for name in ("device", "pair", "size", "quick")}
    print_of = fingerprint(asked, model_files(options.models, options.pair, options.size))
    check = GpuCheck(**asked, out=options.output.resolve(), work=work_folder(), models=options.models.resolve())
    results = check.results()
    for step in to_do(results, print_of, options.again):
        left_s = started_s + options.budget - perf_counter()
        if left_s < WORTH_IT * LIMITS[step]:
            entry: Entry = {
                "status": "left",
                "seconds": 0.0,
                "error": f"{max(left_s, 0):.0f} s were left; run it again",
            }
        else:
            command = [sys.executable, "-m", MODULE, "--output", str(check.out), "--step", step]
            entry = run(command, check.as_environment(), min(LIMITS[step], left_s))
        results[step] = entry | {"fingerprint": print_of}
        results["verdicts"] = verdicts(results)
        save(RESULT, results, check.out)
        print(f"{step:12} {entry['status']:8} {entry['seconds']:6.1f} s  {_why(entry)}", flush=True)
    save(RESULT, results | {"verdicts": verdicts(results)}, check.out)
    print(table(results))
    return int(any(results[step]["status"] not in ("ok", "skipped") for step in LIMITS))


def to_do(results: Mapping[str, Entry], print_of: str, again: bool) -> list[str]:
    """Steps in the order in which they are run: what was never begun before what was ended or failed."""

    def tried(step: str) -> bool:
        entry = results.get(step, {})
        return entry.get("fingerprint") == print_of and entry["status"] != "left"

    def done(step: str) -> bool:
        return tried(step) and results[step]["status"] in ("ok", "skipped") and not again

    return sorted((step for step in LIMITS if not done(step)), key=lambda step: tried(step) and not again)


def table(results: Mapping[str, Entry]) -> str:
    """The verdicts, for people."""
    found = verdicts(results)
    lines = [f"on {found['measured_on'] or 'no GPU'}, networks: {found['with'] or 'not measured'}"]
    for name, entry in found["bars"].items():
        met = {True: "met", False: "NOT MET", None: "not measured"}[entry["met"]]
        value = "-" if entry["measured"] is None else f"{entry['measured']:.4g}"
        lines.append(f"{met:13} {value:>9}  {entry['bar']:>12}  {name}")
    return "\n".join(lines)


def _child(step: str) -> int:
    """The step itself; its last line of output is its result."""
    from benchmarks.gpu.steps import STEPS, Skip

    try:
        result = STEPS[step](GpuCheck.of_environment())
        say("ok" if result.get("passed", True) else "failed", result=result)
    except Skip as reason:
        say("skipped", error=str(reason))
    except Exception as error:  # whatever it is, the other steps go on
        say("failed", error=f"{type(error).__name__}: {error}"[:2000])
        raise
    return 0


def _why(entry: Entry) -> str:
    lines = str(entry.get("error", "")).splitlines()
    return lines[-1][:160] if lines else ""


def _parser() -> argparse.ArgumentParser:
    parser = command("gpu-check", __doc__)
    default = Path("runs/gpu-check")
    parser.add_argument("--output", type=Path, default=default, metavar="DIR", help="folder for the result")
    parser.add_argument("--out", type=Path, dest="output", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="default cuda")
    parser.add_argument("--quick", action="store_true", help="tiny settings, for a rehearsal")
    parser.add_argument("--models", type=Path, default=SHIPPED_MODELS, metavar="DIR", help="default: the shipped ones")
    parser.add_argument("--pair", default=SHIPPED_PAIR, help="default %(default)s")
    parser.add_argument("--size", type=parse_size, default=(1088, 608), metavar="WxH", help="default 1088x608")
    parser.add_argument(
        "--budget", type=float, default=BUDGET_S, metavar="S", help="seconds for all (default %(default)s)"
    )
    parser.add_argument("--again", action="store_true", help="also run steps that are done")
    parser.add_argument("--step", choices=LIMITS, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
