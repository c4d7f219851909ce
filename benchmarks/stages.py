"""Where a frame's time goes: a picture and a table from results of benchmarks.fps; writes into docs/PERFORMANCE.md.

    python -m benchmarks.stages

Measures nothing. The table stands in the document between two comments and is all that this changes there.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.conditions import RESULTS, ROOT
from benchmarks.paper_ours import SIZES

BEGIN, END = "<!-- stages: written by python -m benchmarks.stages -->", "<!-- end of stages -->"
SHOWN = (("teacher", 1), ("atttrack", 2), ("atttrack", 4), ("atttrack", 6), ("atttrack", 12), ("student", 1))
COLOURS = {
    "teacher": "#0072B2",
    "student": "#D55E00",
    "letterbox": "#009E73",
    "extrapolate": "#F0E442",
    "association": "#CC79A7",
    "keep": "#56B4E9",
    "wait": "#999999",
    "rest": "#DDDDDD",
}
"""Stages in the order of the picture. `rest` is what no stopwatch covers: the schedule, the results' way out."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One mode at one K."""

    label: str
    ms: dict[str, float]
    """Stage -> milliseconds per frame, averaged over keyframes and the others."""

    @property
    def total_ms(self) -> float:
        """Milliseconds per frame."""
        return sum(self.ms.values())


def bars(result: Mapping[str, Any]) -> list[Bar]:
    """Those of SHOWN that the result has."""
    runs = {(run["mode"], run["k"]): run for run in result["runs"]}
    return [bar(runs[key]) for key in SHOWN if key in runs]


def bar(run: Mapping[str, Any]) -> Bar:
    """Each stage's time per frame that it treats, times the share of frames that it treats."""
    mode, k = run["mode"], run["k"]
    keyframes = {"teacher": 1.0, "student": 0.0}.get(mode, 1 / k)
    shares = {"teacher": keyframes, "keep": keyframes, "student": 1 - keyframes, "extrapolate": 1 - keyframes}
    ms = {name: value * shares.get(name, 1.0) for name, value in run["stages_ms_per_frame"].items()}
    ms["rest"] = max(0.0, 1e3 / run["fps"] - sum(ms.values()))
    label = {"teacher": "teacher alone", "student": "student alone"}.get(mode, f"AttTrack K={k}")
    return Bar(label, {name: ms[name] for name in COLOURS if name in ms})


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown: a line per size and bar."""
    lines = [
        "![Milliseconds per frame by stage](../benchmarks/results/stages.png)",
        "",
        f"| input | run | ms a frame | {' | '.join(COLOURS)} |",
        "|---|---|---|" + "---|" * len(COLOURS),
    ]
    for size, result in results.items():
        for one in bars(result):
            cells = [f"{one.ms.get(name, 0.0):.2f}" for name in COLOURS]
            lines.append(f"| {size} | {one.label} | {one.total_ms:.1f} | {' | '.join(cells)} |")
    lines.append("")
    for size, result in results.items():
        done = result["conditions"]
        laws = "; ".join(
            f"{mode} c = {law['c_ms']:.2f} ms, law off by {law['worst_residual']:.1%} at most"
            for mode, law in result["laws"].items()
        )
        lines.append(
            f"{size}: {done['cores']} cores of {done['cpu']}, {done['measured_at'][:10]}, commit {done['commit']}, "
            f"load average {done['load_average']} at the end; {laws}.\n"
        )
    return "\n".join(lines).rstrip()


def insert(document: str, text: str) -> str:
    """The document with `text` between the two comments. Raises ValueError where they are missing."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document lacks the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def draw(results: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Stacked bars, one panel per size, 1000 px wide."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    matplotlib.rcParams["svg.hashsalt"] = "stages"
    figure, panels = pyplot.subplots(1, len(results), figsize=(10, 3.6), layout="constrained", squeeze=False)
    for panel, (size, result) in zip(panels[0], results.items(), strict=True):
        shown = bars(result)
        left = [0.0] * len(shown)
        for name, colour in COLOURS.items():
            widths = [one.ms.get(name, 0.0) for one in shown]
            panel.barh([one.label for one in shown], widths, left=left, color=colour, label=name)
            left = [begin + width for begin, width in zip(left, widths, strict=True)]
        panel.invert_yaxis()
        panel.set(title=size, xlabel="milliseconds per frame")
        panel.grid(axis="x", alpha=0.3)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(COLOURS), fontsize=8)
    figure.savefig(path, dpi=100, metadata={"Date": None} if path.suffix == ".svg" else None)
    pyplot.close(figure)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read, draw, write; 2 after one line that says what was missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stages", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of fps-WxH.json; the picture goes there")
    parser.add_argument("--document", type=Path, default=ROOT / "docs" / "PERFORMANCE.md")
    options = parser.parse_args(arguments)
    files = {size: options.results / f"fps-{size}.json" for size in SIZES}
    results = {size: json.loads(path.read_text()) for size, path in files.items() if path.is_file()}
    try:
        if not results:
            raise ValueError(f"no fps-WxH.json in {options.results}; run python -m benchmarks.fps first")
        options.document.write_text(insert(options.document.read_text(), table(results)))
    except (OSError, ValueError) as error:
        print(f"python -m benchmarks.stages: {error}", file=sys.stderr)
        return 2
    for suffix in (".png", ".svg"):
        draw(results, options.results / f"stages{suffix}")
    print(f"saved {options.document}, {options.results / 'stages.png'} and .svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
