"""Where a frame's time goes: a table of stages from results of benchmarks.fps, written into docs/PERFORMANCE.md.

    python -m benchmarks.speed.stages

Measures nothing. The table stands in the document between two comments and is all that this changes there.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.conditions import RESULTS, ROOT, SIZES

BEGIN, END = "<!-- stages: written by python -m benchmarks.speed.stages -->", "<!-- end of stages -->"
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


def insert(document: str, text: str) -> str:
    """The document with `text` between the two comments. Raises ValueError where they are missing."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document lacks the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Read, write; 2 after one line that says what was missing."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed.stages", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of fps-WxH.json")
    parser.add_argument("--document", type=Path, default=ROOT / "docs" / "PERFORMANCE.md")
    options = parser.parse_args(arguments)
    files = {size: options.results / f"fps-{size}.json" for size in SIZES}
    results = {size: json.loads(path.read_text()) for size, path in files.items() if path.is_file()}
    try:
        if not results:
            raise ValueError(f"no fps-WxH.json in {options.results}; run python -m benchmarks.fps first")
        options.document.write_text(insert(options.document.read_text(), table(results)))
    except (OSError, ValueError) as error:
        print(f"python -m benchmarks.speed.stages: {error}", file=sys.stderr)
        return 2
    print(f"saved {options.document}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
