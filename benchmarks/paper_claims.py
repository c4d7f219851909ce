"""What the paper's numbers say about who is better than whom, held against ours."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.frame_skipping import Arm
from benchmarks.paper_ours import SIZES, Ours

NOISE = 0.3
"""MOTA points; less is a tie. The paper prints one of its rows as 63.0 in one table and 63.1 in another."""
PERIODS = (2, 4, 6)

Run = tuple[Arm, int | None]


@dataclass(frozen=True, slots=True)
class Claim:
    """`better` is above `worse`; `paper` is by how much there, in its YOLOv5 rows on MOT17 with IFM."""

    about: str
    better: Run
    worse: Run
    paper: float
    """MOTA points."""


def _att(k: int) -> Run:
    return "atttrack", k


ACCURACY = (
    Claim("teacher above AttTrack, K=2", ("teacher", None), _att(2), 13.9),
    Claim("teacher above AttTrack, K=4", ("teacher", None), _att(4), 18.5),
    Claim("teacher above AttTrack, K=6", ("teacher", None), _att(6), 18.8),
    Claim("AttTrack above student alone, K=2", _att(2), ("student", None), 9.6),
    Claim("AttTrack above student alone, K=4", _att(4), ("student", None), 5.0),
    Claim("AttTrack above student alone, K=6", _att(6), ("student", None), 4.7),
    Claim("AttTrack above naive mix, K=6", _att(6), ("naive", 6), 5.0),
    Claim("no-update above naive mix, K=6", ("no-update", 6), ("naive", 6), 4.8),
    Claim("AttTrack above no-update, K=6", _att(6), ("no-update", 6), 0.2),
    Claim("accuracy falls from K=2 to 4", _att(2), _att(4), 4.6),
    Claim("accuracy falls from K=4 to 6", _att(4), _att(6), 0.3),
)
_OTHERS: tuple[tuple[str, Arm], ...] = (
    ("naive mix", "naive"),
    ("no-update", "no-update"),
    ("frames skipped, Kalman only", "predicted"),
)
OWN = tuple(
    Claim(f"AttTrack above {name}, K={k}", _att(k), (arm, k), math.nan)
    for name, arm in _OTHERS
    for k in PERIODS
    if k != 6 or arm == "predicted"
)
"""Comparisons that the paper does not print numbers for."""
SPEED = (
    Claim("AttTrack, K=2, faster than the teacher", _att(2), ("teacher", None), 45.09 / 40.46),
    Claim("AttTrack, K=4, faster than K=2", _att(4), _att(2), 49.96 / 45.09),
    Claim("AttTrack, K=6, faster than K=4", _att(6), _att(4), 50.91 / 49.96),
    Claim("student alone faster than AttTrack, K=6", ("student", None), _att(6), 59.32 / 50.91),
    Claim("no-update faster than AttTrack, K=6", ("no-update", 6), _att(6), 52.24 / 50.90),
    Claim("naive mix faster than no-update, K=6", ("naive", 6), ("no-update", 6), 53.13 / 52.24),
)
"""`paper` is the ratio of the rates here."""


def verdict(difference: float | None) -> str:
    """In words, for MOTA points."""
    if difference is None:
        return "not run"
    if abs(difference) < NOISE:
        return "tie"
    return "holds" if difference > 0 else "**does not hold**"


def accuracy_lines(ours: Ours, claims: tuple[Claim, ...]) -> Iterator[str]:
    """Markdown rows: MOTA differences in points, of the paper and of ours on both datasets."""
    for claim in claims:
        cells = []
        for dataset in ("MOT17", "MOT15"):
            better, worse = ours.mota(dataset, *claim.better), ours.mota(dataset, *claim.worse)
            difference = None if better is None or worse is None else better - worse
            cells.append("not run" if difference is None else f"{difference:+.1f} {verdict(difference)}")
        paper = "-" if math.isnan(claim.paper) else f"{claim.paper:+.1f}"
        yield f"| {claim.about} | {paper} | {' | '.join(cells)} |"


def speed_lines(ours: Ours) -> Iterator[str]:
    """Markdown rows: ratios of rates."""
    for claim in SPEED:
        cells = []
        for size in SIZES:
            better, worse = ours.speed_ratio(size, *claim.better), ours.speed_ratio(size, *claim.worse)
            if better is None or worse is None:
                cells.append("not measured")
            else:
                ratio = better / worse
                said = "holds" if ratio > 1.01 else "tie" if ratio > 0.99 else "**does not hold**"
                cells.append(f"{ratio:.2f} {said}")
        yield f"| {claim.about} | {claim.paper:.2f} | {' | '.join(cells)} |"
