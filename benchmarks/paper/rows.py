"""The rows of the paper's tables 1 to 8 as they are printed, and what each is a number of.

Ours stands beside the paper's where both are of one `Setup`.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.conditions import ROOT
from training.recipe import resolve

FILE = Path(__file__).with_name("rows.csv")
SEQUENCES = {
    "MOT17": ("MOT17-02", "MOT17-04", "MOT17-05", "MOT17-09", "MOT17-10", "MOT17-11", "MOT17-13"),
    "MOT15": (
        *("ADL-Rundle-6", "ADL-Rundle-8", "ETH-Bahnhof", "ETH-Pedcross2", "ETH-Sunnyday", "KITTI-13", "KITTI-17"),
        *("PETS09-S2L1", "TUD-Campus", "TUD-Stadtmitte", "Venice-2"),
    ),
}
"""The benchmarks' training sequences, whose second halves the paper tests on."""
SAME_VIDEO = {"ADL-Rundle-6": "MOT17-09"}
RECIPES = ROOT / "training" / "recipes" / "paper"


@dataclass(frozen=True, slots=True)
class Setup:
    """One row's, but for K and data."""

    mode: str
    """`alone` for one network on every frame, else a mode of two networks, or `predicted`."""
    network: str
    """The one that runs alone, or the teacher; as `training.models.networks` calls it."""
    student: str = ""
    transfer: str = ""
    """`layerwise` where the student, or the network alone, was trained so."""
    mapping: str = ""
    """AttTrack's: none, ifm or efm; empty for other modes, of whose mapping the paper says nothing."""

    @property
    def computed(self) -> "Setup":
        """What a machine computes, whatever the training: rates depend on nothing else."""
        return replace(self, transfer="", mapping="efm" if self.mapping == "efm" else "")


def of_recipes(teacher: str, student: str, mode: str, pivot: bool) -> Setup:
    """A row's, from the recipes behind it (names below RECIPES, empty where it has none)."""
    if mode in ("teacher", "student"):
        alone = recipe(teacher or student)
        return Setup("alone", alone["network"], transfer=_transfer(alone))
    learner = recipe(student)
    mapping = "efm" if pivot else learner.get("mapping", "none")
    return Setup(
        mode,
        recipe(teacher)["network"],
        learner["network"],
        _transfer(learner),
        mapping if mode == "atttrack" else "",
    )


def of_result(result: Mapping[str, Any]) -> dict[Setup, str]:
    """What a result of benchmarks.accuracy or benchmarks.score has, and the mode that it goes by there.

    Raises ValueError for a result that does not say of which networks it is.
    """
    if "networks" not in result:
        raise ValueError("an accuracy result does not name its networks; run benchmarks.accuracy again")
    names = {name: entry["network"].removesuffix(" + prior") for name, entry in result["networks"].items()}
    teacher, student, plain = (names.get(name, "") for name in ("teacher", "student", "plain"))
    transfer = _transfer(result.get("trained", {}).get("plain", {}).get("recipe", {}))
    mapping = result["networks"].get("student", {}).get("mapping", "")
    known = {
        "teacher": Setup("alone", teacher),
        "student": Setup("alone", plain, transfer=transfer),
        "naive": Setup("naive", teacher, plain, transfer),
        "no-update": Setup("no-update", teacher, student),
        "atttrack": Setup("atttrack", teacher, student, mapping=mapping),
        "predicted": Setup("predicted", teacher),
    }
    modes = {row["mode"] for row in result["rows"]}
    return {setup: mode for mode, setup in known.items() if mode in modes}


@cache
def recipe(name: str) -> dict[str, Any]:
    """The entries of a recipe of the paper's, its bases' among them."""
    return resolve(RECIPES / f"{name}.toml")


def _transfer(settings: Mapping[str, Any]) -> str:
    return "layerwise" if settings.get("transfer") == "layerwise" else ""


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
    teacher_recipe: str
    """Name below RECIPES; empty where the row has no teacher."""
    student_recipe: str
    mode: str
    """Of edge.pipeline.modes; a network alone runs as teacher or as student."""
    pivot: bool
    """Whether both networks are exported with pivot features."""

    @property
    def setup(self) -> Setup:
        """What of ours may stand beside it."""
        return of_recipes(self.teacher_recipe, self.student_recipe, self.mode, self.pivot)

    @property
    def command(self) -> str:
        """What makes our number, for all K of its recipe: trains what is not trained, exports, scores."""
        paths = [f"training/recipes/paper/{name}.toml" for name in self.recipes]
        words = ["atttrack bench score", paths[-1]]
        if self.mode == "naive" and not recipe(self.student_recipe).get("teacher"):
            words += ["--teacher", paths[0], "--name", f"score-{self.student_recipe.replace('/', '-')}-naive"]
        if self.k is not None:
            words.append("--k 2 4 6")
        return " ".join([*words, "--data DATA"])

    @property
    def recipes(self) -> tuple[str, ...]:
        """Those behind it, the teacher's first."""
        return tuple(name for name in (self.teacher_recipe, self.student_recipe) if name)


def read_rows(path: Path = FILE, recipes: Path = RECIPES / "rows.csv") -> list[PaperRow]:
    """All rows in the order of the tables."""
    with path.open(newline="") as printed, recipes.open(newline="") as behind:
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
                teacher_recipe=by["teacher_recipe"],
                student_recipe=by["student_recipe"],
                mode=by["mode"],
                pivot=by["pivot"] == "yes",
            )
            for row, by in zip(csv.DictReader(printed), csv.DictReader(behind), strict=True)
        ]


def teacher_of(row: PaperRow, rows: list[PaperRow]) -> PaperRow:
    """The teacher alone, in the same table or, where that has none, on the same data."""
    if row.method == "alone":
        return next(other for other in rows if other.table == row.table and other.teacher == "YOLOv5")
    return next(
        other for other in rows if (other.method, other.teacher, other.dataset) == ("teacher", row.teacher, row.dataset)
    )
