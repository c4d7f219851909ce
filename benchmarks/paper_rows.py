"""The rows of the paper's tables 1 to 8 as they are printed, and which of them the shipped pair can be held against."""

import csv
from dataclasses import dataclass
from pathlib import Path

from benchmarks.frame_skipping import Arm

FILE = Path(__file__).with_name("paper_rows.csv")
SEQUENCES = {
    "MOT17": ("MOT17-02", "MOT17-04", "MOT17-05", "MOT17-09", "MOT17-10", "MOT17-11", "MOT17-13"),
    "MOT15": (
        *("ADL-Rundle-6", "ADL-Rundle-8", "ETH-Bahnhof", "ETH-Pedcross2", "ETH-Sunnyday", "KITTI-13", "KITTI-17"),
        *("PETS09-S2L1", "TUD-Campus", "TUD-Stadtmitte", "Venice-2"),
    ),
}
"""The benchmarks' training sequences, whose second halves the paper tests on."""
SAME_VIDEO = {"ADL-Rundle-6": "MOT17-09"}
FAMILY = "YOLOv5"
"""The shipped pair's: teacher of width 1/2, student of width 1/8, implicit feature mapping (IFM)."""
ARMS: dict[str, Arm] = {
    "teacher": "teacher",
    "student": "student",
    "naive": "naive",
    "no-update": "no-update",
    "atttrack": "atttrack",
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

    @property
    def arm(self) -> tuple[Arm, int | None] | None:
        """Which of our runs stands beside it; None where none does."""
        if self.method == "alone":
            alone: dict[str, Arm] = {FAMILY: "teacher", f"{FAMILY}-small": "student"}
            return (alone[self.teacher], None) if self.teacher in alone else None
        if self.teacher != FAMILY or self.method not in ARMS or (self.mapping == "none" and self.method != "naive"):
            return None
        return ARMS[self.method], self.k

    @property
    def reason(self) -> str:
        """Why nothing of ours stands beside it, or how ours differs; empty where it is the same thing."""
        if self.method == "layerwise":
            return "no student trained by layerwise attention"
        if "DLA34" in self.teacher:
            return "no trained DLA34 weights"
        if self.teacher == f"{FAMILY}-mid":
            return "no trained network of that width"
        if self.mapping == "none" and self.method == "atttrack":
            return "no student trained without feature mapping"
        if self.mapping == "EFM":
            return "ours: IFM instead of EFM"
        return ""


def read_rows(path: Path = FILE) -> list[PaperRow]:
    """All rows in the order of the tables."""
    with path.open(newline="") as file:
        return [
            PaperRow(
                table=int(row["table"]),
                teacher=row["teacher"],
                student=row["student"],
                k=int(row["k"]) if row["k"] else None,
                method=row["method"],
                mapping=row["mapping"],
                dataset=row["dataset"],
                mota=float(row["mota"]),
                idf1=float(row["idf1"]) if row["idf1"] else None,
                fps=float(row["fps"]),
            )
            for row in csv.DictReader(file)
        ]


def teacher_of(row: PaperRow, rows: list[PaperRow]) -> PaperRow:
    """The teacher alone, in the same table or, where that has none, on the same data."""
    if row.method == "alone":
        return next(other for other in rows if other.table == row.table and other.teacher == FAMILY)
    return next(
        other for other in rows if (other.method, other.teacher, other.dataset) == ("teacher", row.teacher, row.dataset)
    )
