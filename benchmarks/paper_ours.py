"""Our numbers for the paper's rows, from files in benchmarks/results; nothing is measured here."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.frame_skipping import Arm
from benchmarks.paper_rows import SAME_VIDEO, SEQUENCES

SIZES = ("576x320", "1088x608")


@dataclass(frozen=True, slots=True)
class Ours:
    """Results of benchmarks.accuracy, and of benchmarks.fps by size; each as it was written."""

    accuracy: Mapping[str, Any]
    speeds: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls, accuracy: Path, folder: Path) -> "Ours":
        """Raises OSError or ValueError where the accuracy cannot be read; a missing speed is left out."""
        files = {size: folder / f"fps-{size}.json" for size in SIZES}
        speeds = {size: json.loads(path.read_text()) for size, path in files.items() if path.is_file()}
        return cls(json.loads(accuracy.read_text()), speeds)

    def sequences(self, dataset: str) -> list[str]:
        """Those of the dataset that were run, under the names that they have with us."""
        run = {row["sequence"] for row in self.accuracy["rows"]}
        return [ours for name in SEQUENCES[dataset] if (ours := SAME_VIDEO.get(name, name)) in run]

    def mota(self, dataset: str, arm: Arm, k: int | None) -> float | None:
        """Percent, pooled over the dataset's sequences by counts; None where it was not run."""
        rows = self._rows(dataset, arm, k)
        errors = sum(row["misses"] + row["false_positives"] + row["switches"] for row in rows)
        boxes = sum(row["boxes"] for row in rows)
        return 100 * (1 - errors / boxes) if boxes else None

    def idf1(self, dataset: str, arm: Arm, k: int | None) -> float | None:
        """Percent, pooled likewise."""
        rows = self._rows(dataset, arm, k)
        right = sum(row["idr"] * row["boxes"] for row in rows)
        results = sum(row["idr"] * row["boxes"] / row["idp"] for row in rows if row["idp"])
        boxes = sum(row["boxes"] for row in rows)
        return 100 * 2 * right / (boxes + results) if boxes else None

    def speed_ratio(self, size: str, arm: Arm, k: int | None) -> float | None:
        """Rate over that of the teacher alone; None where it was not measured."""
        runs = self.speeds.get(size, {"runs": []})["runs"]
        return next((run["ratio"] for run in runs if (run["mode"], run["k"]) == (arm, k or 1)), None)

    def _rows(self, dataset: str, arm: Arm, k: int | None) -> list[dict[str, Any]]:
        wanted = self.sequences(dataset)
        rows = self.accuracy["rows"]
        return [row for row in rows if row["sequence"] in wanted and (row["mode"], row["k"]) == (arm, k)]
