"""A recipe is trained after what it needs, and nothing is trained twice."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.tiny_data import HEIGHT, WIDTH, write_data
from training import chain
from training.command import as_words, training_options
from training.recipe import chain as chain_of
from training.recipe import resolve

ROOT = Path(__file__).resolve().parents[2]
TINY = {"steps": 2, "warmup": 1, "batch": 2, "drawn": 1, "sizes": [], "input_width": WIDTH, "input_height": HEIGHT}

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


def test_a_start_that_nothing_here_makes_is_the_weights_that_are_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = commands(monkeypatch)
    recipe = write(tmp_path, "teacher", start="begun")
    recipe.write_text(recipe.read_text().replace('"p"', '"open"'))
    chain.main([str(recipe), "--runs", str(tmp_path / "runs"), "--data", "D"])
    assert seen[0][-2:] == ["--start", str(ROOT / "models/weights/open-teacher.pt")]
    assert "there is no begun in" in capsys.readouterr().out
    (tmp_path / "runs/begun").mkdir(parents=True)
    (tmp_path / "runs/begun/weights.pt").touch()
    chain.main([str(recipe), "--runs", str(tmp_path / "runs"), "--data", "D"])
    assert seen[1][-2:] == ["--start", str(tmp_path / "runs/begun/weights.pt")]


@pytest.mark.parametrize("teacher", ["", "teacher"])
def test_a_start_that_is_nowhere_is_said_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], teacher: str
) -> None:
    """Of a pair that is not shipped; and a student never begins with a teacher's weights."""
    write(tmp_path, "teacher")
    recipe = write(tmp_path, "begins", teacher=teacher, start="begun")
    if teacher:
        recipe.write_text(recipe.read_text().replace('"p"', '"open"'))
    with pytest.raises(SystemExit):
        chain.main([str(recipe), "--runs", "R", "--data", "D"])
    said = capsys.readouterr().err
    assert "begins.toml needs begun" in said and "docs/TRAINING.md" in said and "Errno" not in said


def test_what_make_train_types_trains_both_pairs_in_a_fresh_clone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its own recipes, on tiny pictures and for two steps; no run is there, and labels hold no appearances.

    The first training as it is typed, so in two processes; the others in this one.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    data = write_data(tmp_path)
    (tmp_path / "training/recipes").mkdir(parents=True)
    for path in (ROOT / "training/recipes").glob("[!_]*.toml"):
        entries = resolve(path) | TINY
        lines = [f"{name} = {json.dumps(value)}" for name, value in entries.items()]
        (tmp_path / "training/recipes" / path.name).write_text("\n".join(lines))
    for pair in ("open", "mot"):
        make = ["make", "-n", "-W", "pyproject.toml", "train", f"DATA={data}", f"PAIR={pair}"]
        typed = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        trainings = [line.split()[2:] for line in typed.splitlines() if "/atttrack train " in line]
        assert len(trainings) == 3
        for words in trainings:
            alone = [] if words == trainings[0] and pair == "open" else ["--processes", "1"]
            chain.main([*words, *alone, "--device", "cpu"])
        for part in ("teacher", "student", "plain"):
            assert json.loads(Path(f"runs/{pair}-{part}/facts.json").read_text())["step"] == 2
    assert capsys.readouterr().out.count("training goes on from the shipped open-teacher.pt") == 1
