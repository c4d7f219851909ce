"""What a number is of: networks, how they were trained, and who runs when.

Ours stands beside the paper's where these agree.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from benchmarks.conditions import ROOT

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
    """A recipe of the paper's as it is written."""
    return tomllib.loads((RECIPES / f"{name}.toml").read_text())


def _transfer(settings: Mapping[str, Any]) -> str:
    return "layerwise" if settings.get("transfer") == "layerwise" else ""
