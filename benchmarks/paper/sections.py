"""Parts of docs/PAPER.md that have no table in the paper: all K, and our bars."""

from collections.abc import Iterator

from benchmarks.paper.ours import Result, Scores
from benchmarks.paper.rows import SEQUENCES

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


def _bar(about: str, ours: Scores | None, other: Scores | None, least: float) -> str:
    if ours is None or other is None:
        return f"- {about}: not run."
    difference = ours.mota - other.mota
    return f"- {about}: {difference:+.1f}, {'reached' if difference >= least else '**not reached**'}."
