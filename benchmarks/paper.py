"""The paper's tables 1 to 8 beside ours, row by row: writes docs/PAPER.md from results that are there.

    python -m benchmarks.paper

Measures nothing. The results come from

    python -m benchmarks.accuracy --data DATA/sequences --k 2 4 6 --name accuracy-paper --sequences MOT17-02 MOT17-04 \
        MOT17-09 MOT17-11 PETS09-S2L1 TUD-Stadtmitte ETH-Bahnhof ETH-Sunnyday
    python -m benchmarks.fps --size 576x320 1088x608
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.conditions import RESULTS, ROOT
from benchmarks.paper_claims import ACCURACY, NOISE, OWN, accuracy_lines, speed_lines
from benchmarks.paper_ours import SIZES, Ours
from benchmarks.paper_rows import SEQUENCES, PaperRow, read_rows, teacher_of

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
    rows = read_rows()
    beside = sum(row.arm is not None and _mota(ours, row) is not None for row in rows)
    return "\n".join(
        [
            "# The paper's tables beside ours",
            "",
            f"Written by `python -m benchmarks.paper` from [benchmarks/results](../benchmarks/results); do not edit. "
            f"Ours stands beside {beside} of {len(rows)} rows; the others say why not.",
            "",
            *_conditions(ours),
            "",
            "## Who is above whom",
            "",
            "MOTA differences in points; the paper's are its YOLOv5 rows on MOT17 with IFM. A difference below "
            f"{NOISE} is a tie.",
            "",
            f"| claim | paper | ours, {_coverage(ours, 'MOT17')} | ours, {_coverage(ours, 'MOT15')} |",
            "|---|---|---|---|",
            *accuracy_lines(ours, ACCURACY),
            "",
            "What the paper prints no YOLOv5 numbers for:",
            "",
            "| claim | paper | ours, MOT17 | ours, MOT15 |",
            "|---|---|---|---|",
            *accuracy_lines(ours, OWN),
            "",
            "Ratios of frame rates; the paper's are its YOLOv5 rows on MOT17, on another machine and at another size.",
            "",
            f"| claim | paper | {' | '.join(f'ours, {size}' for size in SIZES)} |",
            "|---|---|---|---|",
            *speed_lines(ours),
            "",
            *(line for table in TITLES for line in _table(ours, table, rows)),
        ]
    )


def _conditions(ours: Ours) -> Iterator[str]:
    done = ours.accuracy
    yield (
        f"- **Data.** {done['half'].capitalize()} halves (the paper: second). {_coverage(ours, 'MOT17')}: "
        f"{', '.join(ours.sequences('MOT17')) or 'none'}. {_coverage(ours, 'MOT15')}: "
        f"{', '.join(ours.sequences('MOT15')) or 'none'}; MOT17-09 is the video of MOT15's ADL-Rundle-6, scored with "
        "MOT17's truth. Fewer sequences are other numbers: read differences within a column, not across."
    )
    yield (
        "- **Networks.** The shipped pair ([models](../models/README.md)): the paper's YOLOv5 widths, shortly trained "
        f"from scratch on a CPU, input {done['input']}. The paper's start from COCO weights and are trained for 30 "
        "epochs and more on a GPU."
    )
    yield (
        f"- **Scores.** MOTChallenge's rules over all frames, threshold {done['threshold']}; measured "
        f"{done['conditions']['measured_at'][:10]} at commit {done['conditions']['commit']}."
    )
    for size in SIZES:
        if size in ours.speeds:
            machine = ours.speeds[size]["conditions"]
            yield (
                f"- **Speed at {size}.** {machine['cores']} cores of {machine['cpu']}, "
                f"{machine['measured_at'][:10]}, commit {machine['commit']}. The paper's is a GPU's, so only ratios to "
                "the teacher alone are compared."
            )
        else:
            yield f"- **Speed at {size}.** Not measured: `python -m benchmarks.fps --size {size}`."


def _coverage(ours: Ours, dataset: str) -> str:
    return f"{dataset}, {len(ours.sequences(dataset))} of {len(SEQUENCES[dataset])} sequences"


def _table(ours: Ours, number: int, rows: list[PaperRow]) -> Iterator[str]:
    yield f"## Table {number}: {TITLES[number]}"
    yield ""
    speeds = "".join(f" FPS ratio, ours {size} |" for size in SIZES)
    yield f"| paper's row | MOTA (to teacher) | FPS ratio | MOTA (to teacher), ours |{speeds} remark |"
    yield "|---|---|---|---|" + "---|" * len(SIZES) + "---|"
    for row in rows:
        if row.table == number:
            yield _line(ours, row, teacher_of(row, rows))
    yield ""


def _line(ours: Ours, row: PaperRow, teacher: PaperRow) -> str:
    mota = _mota(ours, row)
    base = ours.mota(row.dataset, "teacher", None)
    cells = [
        _name(row),
        f"{row.mota:.1f} ({row.mota - teacher.mota:+.1f})",
        f"{row.fps / teacher.fps:.2f}",
        "-" if mota is None or base is None else f"{mota:.1f} ({mota - base:+.1f})",
    ]
    for size in SIZES:
        ratio = None if row.arm is None else ours.speed_ratio(size, *row.arm)
        cells.append("-" if ratio is None else f"{ratio:.2f}")
    remark = row.reason
    if row.arm is not None and mota is None:
        remark = f"not run: no result for {row.arm[0]} K={row.arm[1]} on {row.dataset}"
    if row.idf1 is not None and row.arm is not None and (idf1 := ours.idf1(row.dataset, *row.arm)) is not None:
        remark = f"IDF1: paper {row.idf1:.1f}, ours {idf1:.1f}"
    return f"| {' | '.join([*cells, remark])} |"


def _mota(ours: Ours, row: PaperRow) -> float | None:
    return None if row.arm is None else ours.mota(row.dataset, *row.arm)


def _name(row: PaperRow) -> str:
    pair = row.teacher if row.student in ("", f"{row.teacher}-small") else f"{row.teacher} to {row.student}"
    parts = [pair, row.method, row.mapping if row.method == "atttrack" else "", f"K={row.k}" if row.k else ""]
    return " ".join(part for part in parts if part)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read, write; 2 after one line that says what was missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paper", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--accuracy", type=Path, default=RESULTS / "accuracy-paper.json")
    parser.add_argument("--speeds", type=Path, default=RESULTS, help="folder of fps-WxH.json")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "PAPER.md")
    options = parser.parse_args(arguments)
    try:
        options.output.write_text(document(Ours.read(options.accuracy, options.speeds)))
    except (OSError, ValueError) as error:
        print(f"python -m benchmarks.paper: {error}", file=sys.stderr)
        return 2
    print(f"saved {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
