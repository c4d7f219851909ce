"""What the paper's numbers say about who is better than whom, held against ours."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.conditions import SIZES
from benchmarks.paper.ours import Ours, Pooled, Result
from benchmarks.paper.rows import SEQUENCES, PaperRow, Setup

NOISE = 0.3
"""MOTA points; less is a tie. The paper prints one of its rows as 63.0 in one table and 63.1 in another."""
PERIODS = (2, 4, 6)
"""Those of the paper's tables."""
TEACHER, MID, SMALL = "yolo-1/2", "yolo-1/4", "yolo-1/8"

RIVALS = {"naive": "naive mix", "no-update": "no-update", "predicted": "frames skipped, Kalman only"}
ABOVE_NAIVE, BELOW_TEACHER, AT_K = 3.0, 10.0, 6
"""MOTA points that we want of the shipped pair."""

Run = tuple[Setup, int | None]


@dataclass(frozen=True, slots=True)
class Claim:
    """`better` is above `worse`."""

    about: str
    better: Run
    worse: Run


def claims(mapping: str) -> tuple[Claim, ...]:
    """The paper's, about its YOLOv5 rows; AttTrack with the feature mapping `mapping` where one is not named."""
    teacher, small = (Setup("alone", TEACHER), None), (Setup("alone", SMALL), None)
    naive, still = (Setup("naive", TEACHER, SMALL), 6), (Setup("no-update", TEACHER, SMALL), 6)

    def att(k: int, how: str = mapping) -> Run:
        return Setup("atttrack", TEACHER, SMALL, mapping=how), k

    def layerwise(k: int) -> Run:
        return Setup("naive", TEACHER, SMALL, "layerwise"), k

    return (
        *(Claim(f"teacher above AttTrack, K={k}", teacher, att(k)) for k in PERIODS),
        *(Claim(f"AttTrack above student alone, K={k}", att(k), small) for k in PERIODS),
        Claim("AttTrack above naive mix, K=6", att(6), naive),
        Claim("no-update above naive mix, K=6", still, naive),
        Claim("AttTrack above no-update, K=6", att(6), still),
        Claim("student alone not below naive mix, K=6", small, naive),
        Claim("accuracy falls from K=2 to 4", att(2), att(4)),
        Claim("accuracy falls from K=4 to 6", att(4), att(6)),
        *(Claim(f"EFM above IFM, K={k}", att(k, "efm"), att(k, "ifm")) for k in PERIODS),
        *(Claim(f"IFM above no mapping, K={k}", att(k, "ifm"), att(k, "none")) for k in PERIODS),
        *(Claim(f"AttTrack (EFM) above Layerwise, K={k}", att(k, "efm"), layerwise(k)) for k in PERIODS),
        Claim("width 1/2 above width 1/4, alone", teacher, (Setup("alone", MID), None)),
        Claim("width 1/4 above width 1/8, alone", (Setup("alone", MID), None), small),
    )


SPEED = (
    ("AttTrack, K=2, faster than the teacher", ("atttrack", 2), ("teacher", None), 45.09 / 40.46),
    ("AttTrack, K=4, faster than K=2", ("atttrack", 4), ("atttrack", 2), 49.96 / 45.09),
    ("AttTrack, K=6, faster than K=4", ("atttrack", 6), ("atttrack", 4), 50.91 / 49.96),
    ("student alone faster than AttTrack, K=6", ("student", None), ("atttrack", 6), 59.32 / 50.91),
    ("no-update faster than AttTrack, K=6", ("no-update", 6), ("atttrack", 6), 52.24 / 50.90),
    ("naive mix faster than no-update, K=6", ("naive", 6), ("no-update", 6), 53.13 / 52.24),
)
"""Of the shipped pair's modes; the number is the ratio of the paper's rates."""


def verdict(difference: float | None) -> str:
    """In words, for MOTA points."""
    if difference is None:
        return "not run"
    if abs(difference) < NOISE:
        return "tie"
    return "holds" if difference > 0 else "**does not hold**"


def printed(rows: Sequence[PaperRow], claim: Claim, dataset: str) -> float | None:
    """MOTA points of the paper's own difference; None where it does not print both."""
    mota = {(row.setup, row.k): row.mota for row in reversed(rows) if row.dataset == dataset}  # the first print counts
    return mota[claim.better] - mota[claim.worse] if {claim.better, claim.worse} <= mota.keys() else None


def accuracy_lines(ours: Ours, rows: Sequence[PaperRow], mapping: str) -> Iterator[str]:
    """Markdown rows: MOTA differences in points, of the paper and of ours on both datasets."""
    for claim in claims(mapping):
        cells = []
        for dataset in ("MOT17", "MOT15"):
            paper = printed(rows, claim, dataset)
            cells.append("-" if paper is None else f"{paper:+.1f}")
            found = ours.compare(claim.better, claim.worse, dataset)
            if found is None:
                cells.append("not run")
                continue
            names = dict.fromkeys(one.result.name for one in (found.better, found.worse))
            source = "" if list(names) == [ours.shipped.name] else f" ({' against '.join(names)})"
            cells.append(f"{found.mota:+.1f} {verdict(found.mota)}{source}")
        yield f"| {claim.about} | {' | '.join(cells)} |"


def speed_lines(ours: Ours) -> Iterator[str]:
    """Markdown rows: ratios of the shipped pair's rates."""
    setups = {mode: setup for setup, mode in ours.shipped.modes.items()}
    for about, (better, better_k), (worse, worse_k), paper in SPEED:
        cells = []
        for size in SIZES:
            ratios = [
                ours.speed_ratio(size, setups[mode], k) if mode in setups else None
                for mode, k in ((better, better_k), (worse, worse_k))
            ]
            if ratios[0] is None or ratios[1] is None:
                cells.append("not measured")
            else:
                ratio = ratios[0] / ratios[1]
                said = "holds" if ratio > 1.01 else "tie" if ratio > 0.99 else "**does not hold**"
                cells.append(f"{ratio:.2f} {said}")
        yield f"| {about} | {paper:.2f} | {' | '.join(cells)} |"


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


def _bar(about: str, ours: Pooled | None, other: Pooled | None, least: float) -> str:
    if ours is None or other is None:
        return f"- {about}: not run."
    difference = ours.mota - other.mota
    return f"- {about}: {difference:+.1f}, {'reached' if difference >= least else '**not reached**'}."
