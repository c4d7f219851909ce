"""The paper's tables 1 to 8 beside ours, row by row: writes docs/PAPER.md from results that are there.

    atttrack bench paper

Measures nothing. rows.csv has the rows as they are printed, and where ours is: the result in benchmarks/results, the
mode there, and the mode of benchmarks.fps that computes the same. A row without says which command would make one.
"""

import csv
import json
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.command import command, one_line
from benchmarks.conditions import RESULTS, ROOT, SIZES
from benchmarks.score import SEQUENCES

HERE = Path(__file__).parent
RECIPES = ROOT / "training" / "recipes" / "paper"
SAME_VIDEO = {"ADL-Rundle-6": "MOT17-09"}
TITLES = {
    1: "YOLOv5 by width, alone",
    2: "teacher alone and student alone, MOT17",
    3: "AttTrack and what it is compared with, K=6",
    4: "AttTrack, implicit feature mapping (IFM)",
    5: "one student with two teachers, explicit feature mapping (EFM)",
    6: "EFM, IFM and no feature mapping",
    7: "teacher alone and student alone, MOT15",
    8: "AttTrack and layerwise attention, MOT15",
}


@dataclass(frozen=True, slots=True)
class PaperRow:
    """One row of one table; numbers in percent and frames per second on the paper's GPU."""

    table: int
    teacher: str
    student: str
    k: int | None
    method: str
    mapping: str
    """Of features: EFM, IFM, none; empty where it means nothing or is not said."""
    dataset: str
    mota: float
    idf1: float | None
    fps: float
    result: str
    """Ours: a file of `results`, and the mode in it; empty where it was not run."""
    mode: str
    rate: str
    """Mode of a result of benchmarks.fps whose networks compute the same; empty where there is none."""
    recipes: tuple[str, ...]
    """Names below RECIPES of those behind it, the teacher's first."""

    @property
    def command(self) -> str:
        """What makes our number, for all K of its recipe: trains what is not trained, exports, scores."""
        *teacher, subject = (f"training/recipes/paper/{name}.toml" for name in self.recipes)
        words = ["atttrack bench score", subject]
        if self.method == "naive":  # no recipe of its own: it mixes networks that were trained alone
            words += ["--teacher", *teacher, "--name", f"score-{self.recipes[-1].replace('/', '-')}-naive"]
        if self.k is not None:
            words.append("--k 2 4 6")
        return " ".join([*words, "--data DATA"])

    def __str__(self) -> str:
        pair = self.teacher if self.student in ("", f"{self.teacher}-small") else f"{self.teacher} to {self.student}"
        mapping, period = self.mapping if self.method == "atttrack" else "", f"K={self.k}" if self.k else ""
        return " ".join(part for part in (pair, self.method, mapping, period) if part)


def read_rows() -> list[PaperRow]:
    """All rows in the order of the tables."""
    with (HERE / "rows.csv").open(newline="") as printed, (RECIPES / "rows.csv").open(newline="") as behind:
        return [
            PaperRow(
                table=int(row["table"]),
                k=int(row["k"]) if row["k"] else None,
                mota=float(row["mota"]),
                idf1=float(row["idf1"]) if row["idf1"] else None,
                fps=float(row["fps"]),
                recipes=tuple(name for name in (by["teacher_recipe"], by["student_recipe"]) if name),
                **{name: row[name] for name in ("teacher", "student", "method", "mapping", "dataset")},
                **{name: row[name] for name in ("result", "mode", "rate")},
            )
            for row, by in zip(csv.DictReader(printed), csv.DictReader(behind), strict=True)
        ]


def teacher_of(row: PaperRow, rows: Sequence[PaperRow]) -> PaperRow:
    """The teacher alone, in the same table or, where that has none, on the same data."""
    if row.method == "alone":
        return next(other for other in rows if other.table == row.table and other.teacher == "YOLOv5")
    wanted = ("teacher", row.teacher, row.dataset)
    return next(other for other in rows if (other.method, other.teacher, other.dataset) == wanted)


@dataclass(frozen=True, slots=True)
class Ours:
    """Results of benchmarks.accuracy and benchmarks.score by name, and of benchmarks.fps by size."""

    results: Mapping[str, Mapping[str, Any]]
    speeds: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls, folder: Path, names: Collection[str]) -> "Ours":
        """Raises OSError or ValueError where a result cannot be read or compared; a missing speed is left out."""
        results = {name: json.loads((folder / f"{name}.json").read_text()) for name in names}
        for name, result in results.items():
            if result.get("association", "paper") != "paper":
                raise ValueError(f"{name} is not associated as in the paper; score it with --association paper")
            if result["half"] != "second":
                raise ValueError(
                    f"{name} is of the frames {result['half']!r}, the paper's are 'second'; score it again"
                )
        files = {size: folder / f"fps-{size}.json" for size in SIZES}
        return cls(results, {size: json.loads(path.read_text()) for size, path in files.items() if path.is_file()})

    def sequences(self, name: str, dataset: str) -> list[str]:
        """Those of the dataset that a result has, under the names that they have with us."""
        run = {row["sequence"] for row in self.results[name]["rows"]}
        return [ours for theirs in SEQUENCES[dataset] if (ours := SAME_VIDEO.get(theirs, theirs)) in run]

    def scores(self, name: str, mode: str, k: int | None, dataset: str) -> tuple[float, float] | None:
        """MOTA and IDF1 in percent, pooled over the dataset by counts; None where the result has none of it."""
        wanted = self.sequences(name, dataset)
        rows = [r for r in self.results[name]["rows"] if (r["mode"], r["k"]) == (mode, k) and r["sequence"] in wanted]
        if not rows:
            return None
        boxes = sum(row["boxes"] for row in rows)
        errors = sum(row["misses"] + row["false_positives"] + row["switches"] for row in rows)
        found = sum(row["boxes"] - row["misses"] + row["false_positives"] for row in rows)
        right = sum(row["idr"] * row["boxes"] for row in rows)
        return 100 * (1 - errors / boxes), 100 * 2 * right / (boxes + found)


def document(rows: Sequence[PaperRow], ours: Ours) -> str:
    """All of docs/PAPER.md."""
    beside = sum(bool(row.result) for row in rows)
    lines = [
        "# The paper's tables beside ours",
        "",
        "For whoever knows the paper: its rows, ours beside them, and why they differ.",
        "",
        "Written by `atttrack bench paper` from [benchmarks/results](../benchmarks/results); do not edit. "
        f"Ours stands beside {beside} of {len(rows)} rows; the others say which command would make it.",
        "",
        *_conditions(ours),
        "",
        "## Where ours differs, and why",
        "",
        (HERE / "notes.md").read_text(),
    ]
    for table, title in TITLES.items():
        theirs, own = "MOTA (to teacher) | IDF1 | FPS ratio", "MOTA (to teacher), ours | IDF1, ours"
        speeds = "".join(f" FPS ratio, ours {size} |" for size in SIZES)
        lines += [f"## Table {table}: {title}", "", f"| paper's row | {theirs} | {own} |{speeds} ours is |"]
        lines += ["|---|---|---|---|---|---|" + "---|" * len(SIZES) + "---|"]
        lines += [*(_line(ours, row, teacher_of(row, rows)) for row in rows if row.table == table), ""]
    return "\n".join(lines)


def _conditions(ours: Ours) -> Iterator[str]:
    names = {name: ours.sequences(next(iter(ours.results)), name) for name in SEQUENCES} if ours.results else {}
    run = "; ".join(f"{dataset}: {', '.join(sequences) or 'none'}" for dataset, sequences in names.items())
    yield (
        "- **Data.** Second halves, as in the paper, scored by MOTChallenge's rules, associated as in the paper. "
        f"{run}. MOT17-09 is the video of MOT15's ADL-Rundle-6. Fewer sequences are other numbers: compare in a column."
    )
    for name, result in ours.results.items():
        trained = result.get("trained", {}).items()
        runs = ". ".join(f"{role.title()} {run['run']} ({run['network']}, {_steps(run)})" for role, run in trained)
        when = f"{result['conditions']['measured_at'][:10]} at commit {result['conditions']['commit']}"
        what = runs or "The pair `yolo` ([models](../models/YOLO.md)), trained from scratch on a CPU"
        yield f"- **`{name}`.** {what}. Input {result['input']}, threshold {result['threshold']}, {when}."
    for size, speed in ours.speeds.items():
        machine = speed["conditions"]
        yield (
            f"- **Speed at {size}.** {machine['cores']} cores of {machine['cpu']}, {machine['measured_at'][:10]}, "
            f"commit {machine['commit']}. The paper's is a GPU's, so only ratios to the teacher alone are compared."
        )


def _steps(run: Mapping[str, Any]) -> str:
    start = run["recipe"].get("start")
    return f"{run['step']} steps{f' from {start}' if start else ''}"


def _line(ours: Ours, row: PaperRow, teacher: PaperRow) -> str:
    cells = [
        f"{row}",
        f"{row.mota:.1f} ({row.mota - teacher.mota:+.1f})",
        "-" if row.idf1 is None else f"{row.idf1:.1f}",
        f"{row.fps / teacher.fps:.2f}",
    ]
    scores = ours.scores(row.result, row.mode, row.k, row.dataset) if row.result else None
    if scores is None:
        cells += ["-", "-"]
    else:
        of_teacher = ours.scores(row.result, "teacher", None, row.dataset)
        to_teacher = f" ({scores[0] - of_teacher[0]:+.1f})" if of_teacher else ""
        cells += [f"{scores[0]:.1f}{to_teacher}", f"{scores[1]:.1f}"]
    for size in SIZES:
        runs = ours.speeds.get(size, {"runs": []})["runs"]
        ratios = (run["ratio"] for run in runs if (run["mode"], run["k"]) == (row.rate, row.k or 1))
        cells.append(next((f"{ratio:.2f}" for ratio in ratios), "-"))
    there = row.result and f"`{row.result}`, {len(ours.sequences(row.result, row.dataset))} of "
    cells.append(f"{there}{len(SEQUENCES[row.dataset])}" if there else f"not run: `{row.command}`")
    return f"| {' | '.join(cells)} |"


@one_line("paper")
def main(arguments: Sequence[str] | None = None) -> int:
    """Read and write."""
    parser = command("paper", __doc__)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results that rows.csv names")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "PAPER.md", help="page to write")
    options = parser.parse_args(arguments)
    rows = read_rows()
    ours = Ours.read(options.results, dict.fromkeys(row.result for row in rows if row.result))
    options.output.write_text(document(rows, ours))
    print(f"saved {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
