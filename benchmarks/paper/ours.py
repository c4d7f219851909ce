"""Our numbers for the paper's rows, from files in benchmarks/results; nothing is measured here."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.conditions import SIZES
from benchmarks.paper.rows import SAME_VIDEO, SEQUENCES, Setup, of_result

TRAINED = {"teacher": "teacher", "predicted": "teacher", "student": "plain", "naive": "plain"}
"""Mode -> whose training its numbers are about; the student's with prior for any other."""
COUNTS = ("misses", "false_positives", "switches", "boxes", "results", "right")


@dataclass(frozen=True, slots=True)
class Pooled:
    """Percent, pooled over some sequences by counts."""

    mota: float
    idf1: float


@dataclass(frozen=True, slots=True)
class Result:
    """One file of benchmarks.accuracy or benchmarks.score."""

    name: str
    record: Mapping[str, Any]
    modes: Mapping[Setup, str]

    @classmethod
    def of(cls, name: str, record: Mapping[str, Any]) -> "Result":
        """Raises ValueError where it does not say of which networks it is, or was not associated as in the paper."""
        if record.get("association", "paper") != "paper" or record.get("weak_share", 1) != 1:  # as told before
            raise ValueError(f"{name} is not associated as in the paper; score it with --association paper")
        return cls(name, record, of_result(record))

    def sequences(self, dataset: str) -> list[str]:
        """Those of the dataset that were run, under the names that they have with us."""
        run = {row["sequence"] for row in self.record["rows"]}
        return [ours for name in SEQUENCES[dataset] if (ours := SAME_VIDEO.get(name, name)) in run]

    def periods(self, mode: str) -> list[int]:
        """The K of a mode, ascending."""
        return sorted({row["k"] for row in self.record["rows"] if row["mode"] == mode and row["k"] is not None})

    def rows(self, mode: str, k: int | None, sequences: Collection[str]) -> list[dict[str, Any]]:
        """The rows as they were written."""
        return [
            row for row in self.record["rows"] if (row["mode"], row["k"]) == (mode, k) and row["sequence"] in sequences
        ]

    def scores(self, mode: str, k: int | None, sequences: Collection[str]) -> Pooled | None:
        """By MOTChallenge's rules; None where nothing was run."""
        rows = self.rows(mode, k, sequences)
        results = [row["boxes"] - row["misses"] + row["false_positives"] for row in rows]
        right = [row["idr"] * row["boxes"] for row in rows]
        return _pooled([row | {"results": n, "right": r} for row, n, r in zip(rows, results, right, strict=True)])


@dataclass(frozen=True, slots=True)
class Found:
    """Where a number of ours stands."""

    result: Result
    mode: str
    k: int | None

    @property
    def size(self) -> str:
        """Of the networks' input."""
        return str(self.result.record["input"])

    @property
    def training(self) -> tuple[str, int] | None:
        """What the network that this is about began with, and its steps since; None where that is not told."""
        role = TRAINED.get(self.mode, "student")
        recipe = self.result.record.get("trained", {}).get(role, {}).get("recipe", {})
        return (recipe["start"], recipe["steps"]) if {"start", "steps"} <= recipe.keys() else None

    def scores(self, sequences: Collection[str]) -> Pooled | None:
        """Over these sequences."""
        return self.result.scores(self.mode, self.k, sequences)


@dataclass(frozen=True, slots=True)
class Difference:
    """Of two numbers, over the sequences that both have."""

    better: Found
    worse: Found
    sequences: Collection[str]

    @property
    def mota(self) -> float:
        """Points."""
        better, worse = self.better.scores(self.sequences), self.worse.scores(self.sequences)
        assert better is not None and worse is not None, "both have these sequences"  # noqa: S101
        return better.mota - worse.mota

    def worth(self) -> tuple[int, int]:
        """The greater, the more it says."""
        if self.better.result is self.worse.result:
            return len(self.sequences), 2
        trained = self.better.training
        return len(self.sequences), int(trained is not None and trained == self.worse.training)


@dataclass(frozen=True, slots=True)
class Ours:
    """The shipped pair's result, those of other networks, and rates by size."""

    shipped: Result
    others: tuple[Result, ...]
    speeds: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls, accuracy: Path, folder: Path) -> "Ours":
        """Raises OSError or ValueError where files cannot be read or compared; a missing speed is left out."""
        files = {size: folder / f"fps-{size}.json" for size in SIZES}
        speeds = {size: json.loads(path.read_text()) for size, path in files.items() if path.is_file()}
        shipped, *others = (
            Result.of(path.stem, json.loads(path.read_text()))
            for path in (accuracy, *sorted(folder.glob("score-*.json")))
        )
        for other in others:
            if other.record["half"] != shipped.record["half"]:
                halves = f"{other.record['half']!r}, {shipped.name} of {shipped.record['half']!r}"
                raise ValueError(f"{other.name} is of the frames {halves}; score it again or take it away")
        return cls(shipped, tuple(others), speeds)

    def everywhere(self, setup: Setup, k: int | None, dataset: str) -> Iterator[Found]:
        """Wherever it was run on any sequence of the dataset, the shipped pair first."""
        for result in (self.shipped, *self.others):
            mode = result.modes.get(setup)
            if mode is not None and result.rows(mode, k, result.sequences(dataset)):
                yield Found(result, mode, k)

    def find(self, setup: Setup, k: int | None, dataset: str) -> Found | None:
        """Where it was run on most of the dataset."""
        found = list(self.everywhere(setup, k, dataset))
        return max(found, key=lambda one: len(one.result.sequences(dataset)), default=None)

    def compare(
        self, better: tuple[Setup, int | None], worse: tuple[Setup, int | None], dataset: str
    ) -> Difference | None:
        """Over most sequences that both have at one input size; best within one file, else of equal trainings."""
        pairs = [
            Difference(one, other, [n for n in one.result.sequences(dataset) if _has(one, n) and _has(other, n)])
            for one, other in product(self.everywhere(*better, dataset), self.everywhere(*worse, dataset))
        ]
        shared = [pair for pair in pairs if pair.sequences and pair.better.size == pair.worse.size]
        return max(shared, key=Difference.worth, default=None)

    def speed_ratio(self, size: str, setup: Setup, k: int | None) -> float | None:
        """Rate over that of the teacher alone; None where it was not measured of networks that compute the same."""
        modes = {known.computed: mode for known, mode in self.shipped.modes.items()}
        runs = self.speeds.get(size, {"runs": []})["runs"]
        wanted = (modes.get(setup.computed), k or 1)
        return next((run["ratio"] for run in runs if (run["mode"], run["k"]) == wanted), None)


def _has(found: Found, sequence: str) -> bool:
    return bool(found.result.rows(found.mode, found.k, [sequence]))


def _pooled(counts: Sequence[Mapping[str, float]]) -> Pooled | None:
    """Of counts by sequence."""
    total = {name: sum(count[name] for count in counts) for name in COUNTS}
    errors = total["misses"] + total["false_positives"] + total["switches"]
    boxes, results = total["boxes"], total["results"]
    return Pooled(100 * (1 - errors / boxes), 100 * 2 * total["right"] / (boxes + results)) if boxes else None
