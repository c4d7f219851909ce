"""The whole training by one command: killed in the middle and begun anew, it does the rest and nothing twice."""

import argparse
import json
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu.train import PROGRAMS, main
from tests.support.tiny_data import write_data, write_recipe
from tests.support.trained_network import as_if_trained
from training.checkpoint import save_checkpoint
from training.losses import IdentityClassifier
from training.models.networks import build_network
from training.recipe import Recipe
from training.stages import COMPARISONS, RECIPES, Stage, Work, add_options, all_stages
from training.weights import halved

ROOT = Path(__file__).resolve().parents[3]
SIZE = "96x64"


@pytest.fixture
def recipes(tmp_path: Path) -> Path:
    folder = tmp_path / "recipes"
    chain = 'teacher = "yolo-teacher"\nstart = "yolo-small"\nmapping = "ifm"'
    photos = "pretrain_steps = 1\nimages = ['photos', 'elsewhere']"
    write_recipe(folder / "given.toml", 1)
    for name, more in (("yolo-teacher", ""), ("yolo-small", photos)):
        write_recipe(folder / f"{name}.toml", 2, f'start = "given"\n{more}')
    write_recipe(folder / "yolo-atttrack-ifm.toml", 2, chain)
    return folder


def give(out: Path) -> None:
    """The first stage, as if done: two steps from nothing make networks full of ties, which no export would pass."""
    network = as_if_trained(build_network("yolo-1/8"))
    weights = {
        "network": halved(network.state_dict()),
        "classifier": halved(IdentityClassifier(network.embedding, 1).state_dict()),
        "recipe": {"pair": "tiny", "network": "yolo-1/8", "mapping": "none"},
        "commit": "",
        "step": 1,
    }
    save_checkpoint(out / "given" / "weights.pt", weights)
    (out / "stages.json").write_text(json.dumps({"given": {"status": "done"}}))


def options(tmp_path: Path, recipes: Path, *more: str) -> list[str]:
    words = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "out"), "--recipes", str(recipes)]
    return [*words, "--size", SIZE, "--k", "2", "--device", "cpu", "--only", "ifm", *more]


def record(tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "out" / "stages.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def here(work: Work, words: list[str], training: bool) -> int:
    """A stage in this process, which knows torch already; the one that is killed is a process, as all are for users."""
    code: int | None = import_module(words[0]).main(words[1:])
    return code or 0


def test_killed_in_the_middle_it_goes_on_to_scored_networks(
    tmp_path: Path, recipes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_data(tmp_path)
    give(tmp_path / "out")
    command = [sys.executable, "-m", "benchmarks.gpu.train", *options(tmp_path, recipes)]
    first = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while "yolo-teacher" not in record(tmp_path):
        assert first.poll() is None
        time.sleep(0.02)
    while not (left := children(first.pid)):  # the next stage is at work
        assert first.poll() is None
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.wait()
    while any(alive(pid) for pid in left):
        time.sleep(0.02)
    monkeypatch.setattr(Work, "_command", here)
    assert main(options(tmp_path, recipes)) == 0
    second = capsys.readouterr().out
    assert "yolo-teacher                 done before" in second
    assert "7 of 7 stages done" in second
    assert all(entry["status"] == "done" for entry in record(tmp_path).values())
    rows = json.loads((tmp_path / "out" / "scores" / "score-ifm.json").read_text())["rows"]
    assert {row["mode"] for row in rows} == {"atttrack", "no-update"}
    facts = json.loads((tmp_path / "out" / "yolo-small" / "facts.json").read_text())
    assert facts["data"]["missing"] == ["elsewhere"]


@pytest.fixture
def work(tmp_path: Path, recipes: Path) -> Work:
    write_data(tmp_path)
    parser = argparse.ArgumentParser()
    add_options(parser)
    return Work(parser.parse_args(options(tmp_path, recipes, "--minutes", "0.5")))


def test_a_stage_that_fails_costs_those_that_need_it_and_no_other(work: Work) -> None:
    work.run(Stage("broken", ("training.nowhere",), "x"))
    work.run(Stage("empty", ("compileall", "-q", "{out}"), "never made"))
    work.run(Stage("after", ("compileall", "-q", "{out}"), "stages.json", ("broken",)))
    work.run(Stage("beside", ("compileall", "-q", "{out}"), "stages.json"))
    found = {name: entry["status"] for name, entry in work.record.items()}
    assert found == {
        "broken": "failed with exit code 1",
        "empty": "failed with exit code 0",
        "after": "lacks broken",
        "beside": "done",
    }


def test_a_slow_network_gets_the_share_of_its_steps_that_its_minutes_allow(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def run(words: list[str], training: bool) -> int:
        """Takes 2 s a step."""
        commands.append(words)
        folder = Path(words[words.index("--out") + 1])
        folder.mkdir(exist_ok=True)
        steps = int(words[words.index("--steps") + 1]) if "--steps" in words else 100
        (folder / "facts.json").write_text(json.dumps({"step": steps, "seconds": 2.0 * steps}))
        return 0

    monkeypatch.setattr(work, "_command", run)
    stage = Stage("net", ("training.train_plain", "--out", "{out}/net"), "net/facts.json", (), 100)
    work.run(stage)
    assert work.record["net"]["share"] == 0.15  # 30 s of 200 s
    assert commands[1][-2:] == ["--share", "0.15"]
    (work.out / "net" / "facts.json").unlink()
    work.run(stage)
    assert len(commands) == 3, "measured once"


def test_a_measurement_that_fails_says_nothing_about_the_share_and_is_made_again(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def fail(words: list[str], training: bool) -> int:
        commands.append(words)
        return 3

    monkeypatch.setattr(work, "_command", fail)
    stage = Stage("net", ("training.train_plain", "--out", "{out}/net"), "net/facts.json", (), 100)
    for _ in range(2):
        work.run(stage)
        assert work.record["net"] == {"status": "failed with exit code 3"}
    assert ["--steps" in words for words in commands] == [True, True]


def test_every_comparison_is_trained_from_shipped_recipes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", "anywhere", "--list"]) == 0
    listed = capsys.readouterr().out
    plan = all_stages(PROGRAMS, RECIPES, "1088x608", ["2"])
    assert [line.split()[0] for line in listed.splitlines()] == [stage.name for stage in plan]
    names = [stage.name for stage in plan]
    for stage in plan:
        assert all(names.index(need) < names.index(stage.name) for need in stage.needs)
    assert {f"score-{comparison.name}" for comparison in COMPARISONS} <= set(names)
    for path in RECIPES.glob("[!_]*.toml"):
        recipe = Recipe.read(path)
        assert recipe.pair == "yolo"
        assert (recipe.input_width, recipe.input_height) == (1088, 608)


def test_the_papers_recipes_fit_the_same_stages() -> None:
    papers = ROOT / "training" / "recipes" / "paper" / "mot17"
    names = [stage.name for stage in all_stages(PROGRAMS, papers, "1088x608", ["2"])]
    assert names == [stage.name for stage in all_stages(PROGRAMS, RECIPES, "1088x608", ["2"])]


def test_without_data_it_says_what_to_give(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--out", str(tmp_path)])
    assert "--data" in capsys.readouterr().err
