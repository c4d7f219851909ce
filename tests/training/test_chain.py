"""A recipe is trained after what it needs, and nothing is trained twice."""

import json
from pathlib import Path

import pytest

from training import chain
from training.command import as_words, training_options
from training.recipe import chain as chain_of

RECIPE = 'pair = "p"\nnetwork = "yolo-1/8"\nsteps = 4\nwarmup = 0\n'


def write(folder: Path, name: str, teacher: str = "", start: str = "") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(f'{RECIPE}teacher = "{teacher}"\nstart = "{start}"\n')
    return path


def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Command lines that the trainings get; the first word is the training."""
    seen: list[list[str]] = []
    monkeypatch.setattr(chain.train_plain, "main", lambda words: seen.append(["plain", *words]))
    monkeypatch.setattr(chain.train_student, "main", lambda words: seen.append(["student", *words]))
    return seen


def test_a_recipe_that_needs_nothing_is_trained_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = commands(monkeypatch)
    recipe = write(tmp_path, "small")
    chain.main(["--data", "D", "--runs", "R", str(recipe), "--share", "0.5"])
    (words,) = seen
    assert words[:4] == ["plain", str(recipe), "--out", "R/small"]
    assert training_options().parse_args(words[4:]) == training_options().parse_args(["--data", "D", "--share", "0.5"])


@pytest.mark.parametrize(
    "more", ["", "--present --all", "--device cpu --steps 3", "--steps 0 --save-every 0 --share 0.25"]
)
def test_a_training_gets_what_was_typed(more: str) -> None:
    read = training_options().parse_args(["--data", "D", *more.split()])
    assert training_options().parse_args(as_words(read)) == read


def test_teacher_and_start_come_first_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = commands(monkeypatch)
    write(tmp_path, "small")
    write(tmp_path, "teacher", start="small")
    student = write(tmp_path, "student", teacher="teacher", start="small")
    chain.main([str(student), "--runs", "R", "--data", "D"])
    assert [words[:2] for words in seen] == [
        ["plain", str(tmp_path / "small.toml")],
        ["plain", str(tmp_path / "teacher.toml")],
        ["student", str(student)],
    ]
    assert seen[1][-2:] == ["--start", "R/small/weights.pt"]
    assert seen[2][-4:] == ["--teacher", "R/teacher/weights.pt", "--start", "R/small/weights.pt"]


@pytest.mark.parametrize(("step", "again"), [(4, False), (3, True)])
def test_a_run_that_has_reached_its_last_step_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, again: bool
) -> None:
    seen = commands(monkeypatch)
    recipe = write(tmp_path, "small")
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "facts.json").write_text(json.dumps({"step": step, "recipe": {"steps": 4}}))
    chain.main([str(recipe), "--runs", str(tmp_path), "--data", "D"])
    assert bool(seen) == again


@pytest.mark.parametrize(("trained", "said"), [({"seed": 1}, ""), ({"seed": 9, "steps": 2}, "another seed; delete")])
def test_a_run_of_another_recipe_is_left_alone_and_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    trained: dict[str, int],
    said: str,
) -> None:
    seen = commands(monkeypatch)
    recipe = write(tmp_path, "small")
    (tmp_path / "small").mkdir()
    record = {"steps": 4, "sequences": []} | trained
    (tmp_path / "small" / "facts.json").write_text(json.dumps({"step": 4, "recipe": record}))
    chain.main([str(recipe), "--runs", str(tmp_path), "--data", "D"])
    out = capsys.readouterr().out
    assert not seen
    assert said in out
    assert ("delete" in out) == bool(said)


@pytest.mark.parametrize(
    ("words", "said"),
    [([], "--data"), (["--data", "D", "--shar", "0.5"], "--shar"), (["--data", "D", "--steps", "many"], "'many'")],
)
def test_what_no_training_would_take_is_refused_before_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    seen = commands(monkeypatch)
    with pytest.raises(SystemExit):
        chain.main([str(write(tmp_path, "small")), "--runs", "R", *words])
    assert said in capsys.readouterr().err and not seen


def test_a_circle_is_refused_with_its_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "a", start="b")
    write(tmp_path, "b", start="a")
    with pytest.raises(SystemExit):
        chain.main([str(tmp_path / "a.toml"), "--runs", "R", "--data", "D"])
    assert "a -> b -> a" in capsys.readouterr().err


def test_a_recipe_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.toml"):
        chain_of(write(tmp_path, "student", teacher="nowhere"))
