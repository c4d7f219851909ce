"""Where a frame's time goes: the table of docs/PERFORMANCE.md, from results of benchmarks.fps; measures nothing.

atttrack bench stages
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.command import command
from benchmarks.conditions import RESULTS, SIZES

SHOWN = (("teacher", 1), ("atttrack", 2), ("atttrack", 4), ("atttrack", 6), ("atttrack", 12), ("student", 1))
STAGES = ("teacher", "student", "letterbox", "extrapolate", "association", "keep", "wait", "rest")
"""`rest` is what no stopwatch covers: the schedule, the results' way out."""


def stages(run: Mapping[str, Any]) -> dict[str, float]:
    """Milliseconds by stage, averaged over keyframes and the others: what it takes times how often it is needed."""
    keyframes = {"teacher": 1.0, "student": 0.0}.get(run["mode"], 1 / run["k"])
    shares = {"teacher": keyframes, "keep": keyframes, "student": 1 - keyframes, "extrapolate": 1 - keyframes}
    ms = {name: value * shares.get(name, 1.0) for name, value in run["stages_ms_per_frame"].items()}
    ms["rest"] = max(0.0, 1e3 / run["fps"] - sum(ms.values()))
    return {name: ms.get(name, 0.0) for name in STAGES}


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown: a line per size and run."""
    lines = [f"| input | run | ms a frame | {' | '.join(STAGES)} |", "|---|---|---|" + "---|" * len(STAGES)]
    for size, result in results.items():
        runs = {(run["mode"], run["k"]): run for run in result["runs"]}
        for mode, k in (key for key in SHOWN if key in runs):
            ms = stages(runs[mode, k])
            label = f"AttTrack K={k}" if mode == "atttrack" else f"{mode} alone"
            cells = " | ".join(f"{value:.2f}" for value in ms.values())
            lines.append(f"| {size} | {label} | {sum(ms.values()):.1f} | {cells} |")
    for size, result in results.items():
        done = result["conditions"]
        laws = "; ".join(
            f"{mode} c = {law['c_ms']:.2f} ms, law off by {law['worst_residual']:.1%} at most"
            for mode, law in result["laws"].items()
        )
        machine = f"{done['cores']} cores of {done['cpu']}, {done['measured_at'][:10]}, commit {done['commit']}"
        lines += ["", f"{size}: {machine}, load average {done['load_average']} at the end; {laws}."]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read, print; 2 after one line that says what was missing."""
    parser = command("stages", __doc__)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of fps-WxH.json")
    options = parser.parse_args(arguments)
    files = {size: options.results / f"fps-{size}.json" for size in SIZES}
    results = {size: json.loads(path.read_text()) for size, path in files.items() if path.is_file()}
    if not results:
        print(f"no fps-WxH.json in {options.results}; run atttrack bench fps first", file=sys.stderr)
        return 2
    print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
