"""The paper's tables 1 to 8 beside ours, row by row: writes docs/PAPER.md from results that are there.

    atttrack bench paper

Measures nothing. The results come from

    atttrack bench accuracy --data DATA/sequences --k 2 4 6 --association paper --name accuracy-paper \
        --sequences MOT17-02 MOT17-04 MOT17-09 MOT17-11 PETS09-S2L1 TUD-Stadtmitte ETH-Bahnhof ETH-Sunnyday
    atttrack bench score training/recipes/paper/mot17/yolo-mid.toml --data DATA
    atttrack bench fps --size 576x320 1088x608

The first is the shipped pair's. Any number of the second kind lie beside it as score-*.json; a row finds its own by the
networks and how they were trained, and without one says which command would make it.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.command import command
from benchmarks.conditions import RESULTS, ROOT, SIZES
from benchmarks.paper.claims import NOISE, accuracy_lines, bars, every_period, speed_lines
from benchmarks.paper.ours import Found, Ours, Result
from benchmarks.paper.rows import SEQUENCES, PaperRow, read_rows, teacher_of

NOTES = Path(__file__).with_name("notes.md")
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


def document(ours: Ours) -> str:
    """All of docs/PAPER.md."""
    rows, shipped = read_rows(), ours.shipped
    mapping = shipped.record["networks"].get("student", {}).get("mapping", "ifm")
    beside = sum(ours.find(row.setup, row.k, row.dataset) is not None for row in rows)
    return "\n".join(
        [
            "# The paper's tables beside ours",
            "",
            f"Written by `atttrack bench paper` from [benchmarks/results](../benchmarks/results); do not edit. "
            f"Ours stands beside {beside} of {len(rows)} rows; the others say which command would make it.",
            "",
            *_conditions(ours),
            "",
            "## Who is above whom",
            "",
            "MOTA differences in points over the sequences that both have; AttTrack with "
            f"{mapping.upper()} where nothing else is said. A difference below {NOISE} is a tie. Where two files are "
            "named, the networks were trained apart (equally long from one start where that was done), and one "
            "training differs from the next.",
            "",
            f"| claim | paper, MOT17 | ours, {_coverage(shipped, 'MOT17')} | paper, MOT15 "
            f"| ours, {_coverage(shipped, 'MOT15')} |",
            "|---|---|---|---|---|",
            *accuracy_lines(ours, rows, mapping),
            "",
            "What we want of the shipped pair on the MOT17 test halves:",
            "",
            *bars(shipped),
            "",
            "Every K that was run: MOTA of AttTrack, and how much that is above the others.",
            "",
            *every_period(shipped),
            "",
            "Ratios of frame rates; the paper's are its YOLOv5 rows on MOT17, on another machine and at another size.",
            "",
            f"| claim | paper | {' | '.join(f'ours, {size}' for size in SIZES)} |",
            "|---|---|---|---|",
            *speed_lines(ours),
            "",
            "## Where ours differs, and why",
            "",
            NOTES.read_text(),
            *(line for table in TITLES for line in _table(ours, table, rows)),
        ]
    )


def _conditions(ours: Ours) -> Iterator[str]:
    done = ours.shipped.record
    yield (
        f"- **Data.** {done['half'].capitalize()} halves (the paper: second). {_coverage(ours.shipped, 'MOT17')}: "
        f"{', '.join(ours.shipped.sequences('MOT17')) or 'none'}. {_coverage(ours.shipped, 'MOT15')}: "
        f"{', '.join(ours.shipped.sequences('MOT15')) or 'none'}; MOT17-09 is the video of MOT15's ADL-Rundle-6, "
        "scored with MOT17's truth. Fewer sequences are other numbers: read differences within a column, not across."
    )
    yield (
        f"- **Networks.** `{ours.shipped.name}`: the shipped pair ([models](../models/README.md)), the paper's YOLOv5 "
        f"widths, shortly trained from scratch on a CPU, input {done['input']}. The paper's start from COCO weights "
        "and are trained for 30 epochs and more on a GPU."
    )
    for other in ours.others:
        trained = other.record.get("trained", {})
        runs = ", ".join(f"{name} {run['run']} ({run['network']}, {_steps(run)})" for name, run in trained.items())
        yield f"- **`{other.name}`.** {runs or 'weights of unknown training'}; input {other.record['input']}."
    yield (
        f"- **Scores.** MOTChallenge's rules over all frames, threshold {done['threshold']}, association as in the "
        "paper (in service it is another: [why](ARCHITECTURE.md)); measured "
        f"{done['conditions']['measured_at'][:10]} at commit {done['conditions']['commit']}."
    )
    for size in SIZES:
        if size in ours.speeds:
            machine = ours.speeds[size]["conditions"]
            yield (
                f"- **Speed at {size}.** {machine['cores']} cores of {machine['cpu']}, "
                f"{machine['measured_at'][:10]}, commit {machine['commit']}. The paper's is a GPU's, so only ratios to "
                "the teacher alone are compared; they stand beside all rows whose networks compute the same."
            )
        else:
            yield f"- **Speed at {size}.** Not measured: `atttrack bench fps --size {size}`."


def _steps(run: Mapping[str, Any]) -> str:
    start = run["recipe"].get("start")
    return f"{run['step']} steps{f' from {start}' if start else ''}"


def _coverage(result: Result, dataset: str) -> str:
    return f"{dataset}, {len(result.sequences(dataset))} of {len(SEQUENCES[dataset])} sequences"


def _table(ours: Ours, number: int, rows: list[PaperRow]) -> Iterator[str]:
    yield f"## Table {number}: {TITLES[number]}"
    yield ""
    speeds = "".join(f" FPS ratio, ours {size} |" for size in SIZES)
    theirs, own = "MOTA (to teacher) | IDF1 | FPS ratio", "MOTA (to teacher), ours | IDF1, ours"
    yield f"| paper's row | {theirs} | {own} |{speeds} ours is |"
    yield "|---|---|---|---|---|---|" + "---|" * len(SIZES) + "---|"
    for row in rows:
        if row.table == number:
            yield _line(ours, row, teacher_of(row, rows))
    yield ""


def _line(ours: Ours, row: PaperRow, teacher: PaperRow) -> str:
    cells = [
        _name(row),
        f"{row.mota:.1f} ({row.mota - teacher.mota:+.1f})",
        "-" if row.idf1 is None else f"{row.idf1:.1f}",
        f"{row.fps / teacher.fps:.2f}",
    ]
    found = ours.find(row.setup, row.k, row.dataset)
    scores = None if found is None else found.scores(found.result.sequences(row.dataset))
    if found is None or scores is None:
        cells += ["-", "-"]
    else:
        difference = ours.compare((row.setup, row.k), (teacher.setup, None), row.dataset)
        to_teacher = "" if difference is None else f" ({difference.mota:+.1f})"
        cells += [f"{scores.mota:.1f}{to_teacher}", f"{scores.idf1:.1f}"]
    for size in SIZES:
        ratio = ours.speed_ratio(size, row.setup, row.k)
        cells.append("-" if ratio is None else f"{ratio:.2f}")
    cells.append(f"not run: `{row.command}`" if found is None else _source(found, row.dataset))
    return f"| {' | '.join(cells)} |"


def _source(found: Found, dataset: str) -> str:
    sequences = found.result.sequences(dataset)
    return f"`{found.result.name}`, {len(sequences)} of {len(SEQUENCES[dataset])}"


def _name(row: PaperRow) -> str:
    pair = row.teacher if row.student in ("", f"{row.teacher}-small") else f"{row.teacher} to {row.student}"
    parts = [pair, row.method, row.mapping if row.method == "atttrack" else "", f"K={row.k}" if row.k else ""]
    return " ".join(part for part in parts if part)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read, write; 2 after one line that says what was missing."""
    parser = command("paper", __doc__)
    parser.add_argument("--accuracy", type=Path, default=RESULTS / "accuracy-paper.json", help="of the shipped pair")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of score-*.json and fps-WxH.json")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "PAPER.md", help="page to write")
    options = parser.parse_args(arguments)
    try:
        options.output.write_text(document(Ours.read(options.accuracy, options.results)))
    except (OSError, ValueError) as error:
        print(f"atttrack bench paper: {error}", file=sys.stderr)
        return 2
    print(f"saved {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
