"""From a training run to model files: what runs is scored, so weights are exported first.

Training and export are programs of their own here, since benchmarks never see torch.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from benchmarks.conditions import ROOT
from engines.host import HostDevice
from engines.load import load_engine
from engines.signature import Role, Signature, size_name


class ScoreError(ValueError):
    """Weights that cannot be scored as asked; the message says what to do."""


@dataclass(frozen=True, slots=True)
class TrainedRun:
    """Weights, and what their run wrote down about itself."""

    weights: Path
    facts: Mapping[str, Any]

    @classmethod
    def find(cls, path: Path) -> Self:
        """A run's folder (weights.pt and facts.json), or a file of weights with its facts beside it as .json.

        Raises ScoreError where one is missing.
        """
        weights = path / "weights.pt" if path.is_dir() else path
        facts = weights.with_name("facts.json") if weights.name == "weights.pt" else weights.with_suffix(".json")
        for file in (weights, facts):
            if not file.is_file():
                raise ScoreError(f"no {file}; give a run's folder, a file of weights, or the recipe to train")
        return cls(weights, json.loads(facts.read_text()))

    @property
    def name(self) -> str:
        """The last two parts of where it lies: of the paper's runs mot17/yolo-teacher and the like."""
        stem = self.weights.parent if self.weights.name == "weights.pt" else self.weights.with_suffix("")
        return "/".join(stem.parts[-2:])

    @property
    def network(self) -> str:
        """Name in `training.models.networks`, without the prior."""
        return str(self.facts["recipe"]["network"]).removesuffix(" + prior")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the input that it was trained at."""
        return self.facts["recipe"]["input_width"], self.facts["recipe"]["input_height"]

    def setting(self, name: str, default: str = "") -> str:
        """An entry of the recipe; `default` where the run is older than the entry."""
        return str(self.facts["recipe"].get(name, default))

    def neighbour(self, name: str) -> Path:
        """The folder of the run called so beside this one."""
        return self.weights.parent.with_name(name)

    def as_record(self) -> dict[str, Any]:
        """For files: what tells this run from others."""
        told = ("start", "steps", "batch", "transfer", "mapping", "input_width", "input_height", "seed")
        recipe = {name: value for name, value in self.facts["recipe"].items() if name in told}
        return {"run": self.name, "network": self.network, "step": self.facts["step"], "recipe": recipe}


def train(recipe: Path, data: Path, runs: Path) -> Path:
    """Train a recipe and what it needs on the data that is there, as far as not done; returns the run's folder."""
    _python("training.chain", recipe.resolve(), "--data", data.resolve(), "--runs", runs.resolve(), "--present")
    return runs / recipe.stem


def export(run: TrainedRun, role: Role, size: tuple[int, int], pivot: bool, path: Path) -> Signature:
    """Write the model file, for that size alone, and return what it says of itself.

    pivot: embeddings leave as EFM's pivot features.
    """
    where = ("--size", size_name(size), "--fixed", "--output", path.resolve(), *(("--pivot",) if pivot else ()))
    _python("export.to_onnx", run.weights.resolve(), "--role", role, *where)
    return load_engine(path, HostDevice()).signature


def _python(module: str, *arguments: Path | str) -> None:
    """Run a module of ours; raises ScoreError where it fails, after it has said why itself."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    if code := subprocess.run(command, cwd=ROOT, check=False).returncode:
        raise ScoreError(f"`python -m {' '.join(command[2:])}` ended with {code}")
