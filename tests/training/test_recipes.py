"""The recipes of the paper's tables: every row has its trainings, and every training runs."""

import csv
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.pipeline.modes import MODES
from tests.support.tiny_data import HEIGHT, WIDTH, write_data
from training import chain
from training.checkpoint import load_checkpoint
from training.models import networks
from training.models.dla import DlaFairMot
from training.recipe import Recipe, resolve

ROOT = Path(__file__).resolve().parents[2]
PAPER = ROOT / "training" / "recipes" / "paper"
RECIPES = sorted(PAPER.glob("*/[!_]*.toml"))
KEYS = ("table", "teacher", "student", "k", "method", "mapping", "dataset")
TINY = {"steps": 2, "batch": 2, "warmup": 1, "input_width": WIDTH, "input_height": HEIGHT, "sequences": ["seq"]}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


ROWS = rows(PAPER / "rows.csv")


def recipe(name: str) -> Recipe:
    return Recipe.read(PAPER / f"{name}.toml")


def named(row: dict[str, str]) -> list[str]:
    return [name for name in (row["teacher_recipe"], row["student_recipe"]) if name]


def test_the_rows_are_those_of_the_papers_tables() -> None:
    printed = rows(ROOT / "benchmarks" / "paper" / "rows.csv")
    assert len(ROWS) == 59
    assert [[row[key] for key in KEYS] for row in ROWS] == [[row[key] for key in KEYS] for row in printed]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(row[key] for key in KEYS if row[key]))
def test_a_row_has_the_networks_that_its_mode_runs_trained_as_it_says(row: dict[str, str]) -> None:
    networks_of_mode = MODES[row["mode"]].networks
    assert bool(row["teacher_recipe"]) == ("teacher" in networks_of_mode)
    assert bool(row["student_recipe"]) == ("student" in networks_of_mode or "plain" in networks_of_mode)
    assert all(name.split("/")[0] == row["dataset"].lower() for name in named(row))
    if row["student_recipe"]:
        student = recipe(row["student_recipe"])
        assert bool(student.teacher) == (row["method"] in ("atttrack", "no-update", "layerwise"))
        assert student.transfer == ("layerwise" if row["method"] == "layerwise" else "prior")
        assert (student.still == 1) == (row["method"] == "no-update")
        if row["method"] == "atttrack":
            assert student.mapping == row["mapping"].lower()
            assert row["teacher_recipe"].endswith(f"/{student.teacher}")
    assert row["pivot"] == ("yes" if row["method"] == "atttrack" and row["mapping"] == "EFM" else "no")


@pytest.mark.parametrize("row", [row for row in ROWS if row["student"] and row["teacher_recipe"]], ids=str)
def test_the_networks_of_a_row_are_one_pair_of_the_families_it_names(row: dict[str, str]) -> None:
    teacher, student = recipe(row["teacher_recipe"]), recipe(row["student_recipe"])
    assert teacher.pair == student.pair or row["mode"] == "naive"
    assert (teacher.network, student.network) == (
        {"YOLOv5": "yolo-1/2", "DLA34": "dla34"}[row["teacher"]],
        {"YOLOv5-small": "yolo-1/8", "DLA34-small": "dla34-small"}[row["student"]],
    )


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_recipe_learns_for_the_papers_35_epochs_from_a_start_of_its_own_shape(path: Path) -> None:
    ours = Recipe.read(path)
    frames = {"mot17": 2657, "mot15": 2747}[path.parent.name]
    assert abs(ours.steps * ours.batch - 35 * frames) < frames / 10
    assert ours.input_wh == (1088, 608)
    assert len(ours.sequences) == {"mot17": 7, "mot15": 11}[path.parent.name]
    if ours.start:
        start = Recipe.read(path.with_name(f"{ours.start}.toml"))
        assert start.network == ours.network
        assert not start.start, "a longer training than that of the baselines it is compared with"
    if ours.teacher:
        assert Recipe.read(path.with_name(f"{ours.teacher}.toml")).pair == ours.pair


@pytest.mark.parametrize("path", sorted((PAPER / "mot15").glob("[!_]*.toml")), ids=lambda path: path.stem)
def test_the_trainings_on_mot15_are_those_on_mot17_with_other_data(path: Path) -> None:
    data = {"pair": "", "steps": 1, "sequences": ()}
    ours, theirs = (dataclasses.replace(Recipe.read(PAPER / name / path.name), **data) for name in ("mot15", "mot17"))
    assert ours == theirs


@pytest.fixture(scope="module")
def tiny_runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[str], Path, Path]]:
    """Options of a chain, the folder of its tiny recipes and that of its runs, which share teachers and starts.

    DLA34 at an eighth of its channels: its layers are all there, and are those that the parity test runs in full size.
    """
    folder = tmp_path_factory.mktemp("paper")
    data = write_data(folder)
    recipes, runs = folder / "recipes", folder / "runs"
    recipes.mkdir()
    for path in (PAPER / "mot17").glob("[!_]*.toml"):
        entries: dict[str, Any] = resolve(path) | TINY
        lines = [f"{name} = {json.dumps(value)}" for name, value in entries.items()]
        (recipes / path.name).write_text("\n".join(lines))
    narrow = {
        "dla34": lambda **options: DlaFairMot(width=0.125, **options),
        "dla34-small": lambda **options: DlaFairMot(width=0.125, depths=(1, 1, 1, 1), **options),
        "dla34-half": lambda **options: DlaFairMot(width=0.0625, **options),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, build in narrow.items():
            patch.setitem(networks.NETWORKS, name, build)
        yield ["--data", str(data), "--runs", str(runs), "--device", "cpu"], recipes, runs


@pytest.mark.parametrize("stem", sorted(path.stem for path in (PAPER / "mot17").glob("[!_]*.toml")))
def test_every_training_of_the_paper_runs_for_two_steps(tiny_runs: tuple[list[str], Path, Path], stem: str) -> None:
    options, recipes, runs = tiny_runs
    chain.main([str(recipes / f"{stem}.toml"), *options])
    facts = json.loads((runs / stem / "facts.json").read_text())
    ours = Recipe.read(recipes / f"{stem}.toml")
    assert facts["step"] == 2
    for name, value in facts["losses"][-1].items():
        assert np.isfinite(value), name
    assert ("mimic" in facts["losses"][-1]) == (ours.mapping == "ifm")
    assert ("attention" in facts["losses"][-1]) == (ours.transfer == "layerwise")
    saved = load_checkpoint(runs / stem / "weights.pt")
    assert saved is not None
    plain = networks.build_network(ours.network)
    has_prior = saved["network"]["hm.0.weight"].shape[1] > plain.feature
    assert has_prior == (bool(ours.teacher) and ours.transfer == "prior")
