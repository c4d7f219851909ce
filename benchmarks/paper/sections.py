"""Parts of docs/PAPER.md that have no table in the paper: all K, single sequences, FairMOT's way to score, our bars."""

from collections.abc import Iterator, Sequence

from benchmarks.metrics.scores import POOLED
from benchmarks.paper.ours import Ours, Result, Scores
from benchmarks.paper.rows import SAME_VIDEO, SEQUENCES, PaperRow

RIVALS = {"naive": "naive mix", "no-update": "no-update", "predicted": "frames skipped, Kalman only"}
ABOVE_NAIVE, BELOW_TEACHER, AT_K = 3.0, 10.0, 6
"""MOTA points that we want of the shipped pair."""


def every_period(shipped: Result) -> Iterator[str]:
    """AttTrack's MOTA less that of others, for every K that was run."""
    datasets = [dataset for dataset in SEQUENCES if shipped.sequences(dataset)]
    yield "| K |" + "".join(f" {dataset}: AttTrack | {' | '.join(RIVALS.values())} |" for dataset in datasets)
    yield "|---|" + "---|" * (1 + len(RIVALS)) * len(datasets)
    for k in shipped.periods("atttrack"):
        cells = []
        for dataset in datasets:
            sequences = shipped.sequences(dataset)
            ours = shipped.scores("atttrack", k, sequences)
            cells.append("-" if ours is None else f"{ours.mota:.1f}")
            for rival in RIVALS:
                theirs = shipped.scores(rival, k, sequences)
                cells.append("-" if ours is None or theirs is None else f"{ours.mota - theirs.mota:+.1f}")
        yield f"| {k} | {' | '.join(cells)} |"


def bars(shipped: Result) -> Iterator[str]:
    """What we want of the shipped pair on the MOT17 test halves, and whether it does that."""
    sequences = shipped.sequences("MOT17")
    teacher, att = shipped.scores("teacher", None, sequences), shipped.scores("atttrack", AT_K, sequences)
    naive = shipped.scores("naive", AT_K, sequences)
    yield _bar(f"AttTrack at K={AT_K} at least {ABOVE_NAIVE:g} MOTA above naive mix", att, naive, ABOVE_NAIVE)
    yield _bar(f"AttTrack at K={AT_K} within {BELOW_TEACHER:g} MOTA of its teacher", att, teacher, -BELOW_TEACHER)


def teacher_by_sequence(ours: Ours, rows: Sequence[PaperRow]) -> Iterator[str]:
    """The shipped teacher alone in each sequence, next to the paper's average."""
    yield "| sequence | MOTA | IDF1 | HOTA | misses | false boxes | switches |"
    yield "|---|---|---|---|---|---|---|"
    shipped, setups = ours.shipped, {mode: setup for setup, mode in ours.shipped.modes.items()}
    for row in shipped.record["rows"]:
        if row["mode"] == "teacher" and row["sequence"] != POOLED:
            cells = (f"{100 * row[name]:.1f}" for name in ("mota", "idf1", "hota"))
            counts = (str(row[name]) for name in ("misses", "false_positives", "switches"))
            yield f"| {row['sequence']} | {' | '.join([*cells, *counts])} |"
    for dataset, names in SEQUENCES.items():
        sequences = shipped.sequences(dataset)
        pooled = shipped.scores("teacher", None, sequences)
        if pooled is not None:
            about = f"{dataset}, {len(sequences)} of {len(names)} sequences"
            yield f"| **ours, {about}** | {pooled.mota:.1f} | {pooled.idf1:.1f} | | | | |"
        alone = [row for row in rows if row.dataset == dataset and row.setup == setups.get("teacher")]
        if alone:
            idf1 = next((f"{row.idf1:.1f}" for row in alone if row.idf1 is not None), "-")
            yield f"| **paper, {dataset}, {len(names)} sequences** | {alone[0].mota:.1f} | {idf1} | | | | |"


def by_fairmot(shipped: Result) -> Iterator[str]:
    """The shipped pair by both ways to score."""
    yield "| run | MOTA | by FairMOT's rules | IDF1 | by FairMOT's rules |"
    yield "|---|---|---|---|---|"
    sequences = [SAME_VIDEO.get(name, name) for name in SEQUENCES["MOT17"]]
    runs: list[tuple[str, int | None]] = [("teacher", None), ("student", None)]
    runs += [(mode, k) for mode in ("naive", "atttrack") for k in shipped.periods(mode) if k in (2, 4, 6)]
    for mode, k in runs:
        ours, theirs = shipped.scores(mode, k, sequences), shipped.fairmot(mode, k, sequences)
        if ours is not None and theirs is not None:
            name = mode if k is None else f"{mode} K={k}"
            yield f"| {name} | {ours.mota:.1f} | {theirs.mota:.1f} | {ours.idf1:.1f} | {theirs.idf1:.1f} |"


def _bar(about: str, ours: Scores | None, other: Scores | None, least: float) -> str:
    if ours is None or other is None:
        return f"- {about}: not run."
    difference = ours.mota - other.mota
    return f"- {about}: {difference:+.1f}, {'reached' if difference >= least else '**not reached**'}."
