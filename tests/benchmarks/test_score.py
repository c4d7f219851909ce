"""Weights are exported and scored by one command; runs that do not go together are refused by name."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import pytest

from benchmarks import accuracy, trained_run
from benchmarks.score import default_name, main, networks_of, present, wants_pivot
from benchmarks.trained_run import ScoreError, TrainedRun
from tests.support.tiny_pair import signature, tiny_model

RECIPE = {"pair": "tiny", "network": "yolo-1/8", "mapping": "none", "transfer": "prior", "steps": 7, "batch": 8}


def write_run(folder: Path, **recipe: Any) -> Path:
    """A run's folder as training leaves it, with empty weights."""
    folder.mkdir(parents=True)
    (folder / "weights.pt").touch()
    facts = {"recipe": RECIPE | {"input_width": 320, "input_height": 192} | recipe, "step": 7, "commit": "abc"}
    (folder / "facts.json").write_text(json.dumps(facts))
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """runs/mot17 with a teacher and the students of two recipes that name it."""
    folder = tmp_path / "runs" / "mot17"
    write_run(folder / "yolo-teacher", network="yolo-1/2")
    write_run(folder / "yolo-student", mapping="ifm", teacher="yolo-teacher")
    write_run(folder / "yolo-layerwise", transfer="layerwise", teacher="yolo-teacher")
    write_run(folder / "yolo-mid", network="yolo-1/4")
    return folder


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Commands that were run; in place of each export a tiny network is written."""
    commands: list[list[str]] = []

    def run(command: list[str], **options: Any) -> SimpleNamespace:
        commands.append(command[2:])
        if "export.to_onnx" in command:
            path = Path(command[command.index("--output") + 1])
            role = command[command.index("--role") + 1]
            facts = json.loads(Path(command[3]).with_name("facts.json").read_text())
            prior = role == "student" and facts["recipe"]["mapping"] == "ifm"
            onnx.save(tiny_model(signature(role, (320, 192), prior)), path)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(trained_run, "subprocess", SimpleNamespace(run=run))
    return commands


def test_without_any_sequence_there_is_nothing_to_score(tmp_path: Path) -> None:
    with pytest.raises(ScoreError, match="none of the paper's sequences"):
        present(tmp_path, None)


def test_a_sequence_that_was_asked_for_must_be_there(crossing: Path) -> None:
    assert present(crossing.parent, None) == [crossing]
    with pytest.raises(ScoreError, match="no sequences MOT17-02"):
        present(crossing.parent, ["MOT17-09", "MOT17-02"])


def test_of_the_copies_of_a_sequence_one_is_scored(tmp_path: Path) -> None:
    for name in ("MOT17-02-DPM", "MOT17-02-FRCNN", "MOT17-02-SDP", "MOT17-04-SDP"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "seqinfo.ini").touch()
    assert [path.name for path in present(tmp_path, None)] == ["MOT17-02-FRCNN", "MOT17-04-SDP"]


def test_a_student_is_scored_with_the_teacher_that_its_recipe_names(
    runs: Path, crossing: Path, tmp_path: Path, exported: list[list[str]]
) -> None:
    where = ["--data", str(crossing.parent.parent), "--half", "all", "--output", str(tmp_path), "--device", "cpu"]
    plain = str(write_run(runs / "yolo-small"))
    assert main([str(runs / "yolo-student"), *where, "--plain", plain, "--k", "2", "3"]) == 0
    result = json.loads((tmp_path / "score-mot17-yolo-student.json").read_text())
    assert [command[0] for command in exported] == ["export.to_onnx"] * 3
    assert {name: entry["run"] for name, entry in result["trained"].items()} == {
        "teacher": "mot17/yolo-teacher",
        "student": "mot17/yolo-student",
        "plain": "mot17/yolo-small",
    }
    assert result["trained"]["student"]["recipe"]["mapping"] == "ifm"
    assert result["association"] == "paper"
    assert (result["input"], result["half"]) == ("320x192", "all")
    scores = {(row["mode"], row["k"]): row["mota"] for row in result["rows"] if row["sequence"] == "MOT17-09"}
    assert scores.keys() >= {("teacher", None), ("student", None), ("naive", 2), ("atttrack", 2), ("atttrack", 3)}
    assert scores["teacher", None] > 0.9
    assert result["conditions"]["models"].keys() == {f"tiny-{role}-320x192.onnx" for role in NAMES}


NAMES = ("teacher", "student", "student-plain")


def test_a_layerwise_student_is_the_plain_one_and_a_lone_network_runs_alone(
    runs: Path, crossing: Path, tmp_path: Path, exported: list[list[str]]
) -> None:
    where = ["--data", str(crossing.parent.parent), "--half", "all", "--output", str(tmp_path), "--device", "cpu"]
    assert main([str(runs / "yolo-layerwise"), *where, "--k", "2", "--keep", str(tmp_path / "kept")]) == 0
    result = json.loads((tmp_path / "score-mot17-yolo-layerwise.json").read_text())
    assert {row["mode"] for row in result["rows"]} == {"teacher", "student", "naive"}
    assert len(list((tmp_path / "kept").glob("*.onnx"))) == 2
    assert main([str(runs / "yolo-mid" / "weights.pt"), *where]) == 0
    result = json.loads((tmp_path / "score-mot17-yolo-mid.json").read_text())
    assert {(row["mode"], row["k"]) for row in result["rows"]} == {("student", None)}


def test_what_another_subject_left_in_a_kept_folder_is_not_scored(
    runs: Path, crossing: Path, tmp_path: Path, exported: list[list[str]]
) -> None:
    where = ["--data", str(crossing.parent.parent), "--half", "all", "--output", str(tmp_path), "--device", "cpu"]
    for name in ("yolo-student", "yolo-layerwise"):
        assert main([str(runs / name), *where, "--k", "2", "--keep", str(tmp_path / "kept")]) == 0
    result = json.loads((tmp_path / "score-mot17-yolo-layerwise.json").read_text())
    assert result["networks"].keys() == result["trained"].keys() == {"teacher", "plain"}
    assert {row["mode"] for row in result["rows"]} == {"teacher", "student", "naive"}


def test_a_recipe_is_trained_before(runs: Path, crossing: Path, tmp_path: Path, exported: list[list[str]]) -> None:
    recipe, data = tmp_path / "recipes" / "mot17" / "yolo-student.toml", crossing.parent.parent
    arguments = [str(recipe), "--data", str(data), "--runs", str(runs), "--half", "all", "--modes", "atttrack"]
    assert main([*arguments, "--k", "2", "--output", str(tmp_path), "--mapping", "efm"]) == 0
    assert exported[0] == ["training.chain", str(recipe), "--data", str(data), "--runs", str(runs), "--present"]
    assert all("--pivot" in command for command in exported[1:])
    rows = json.loads((tmp_path / "score-mot17-yolo-student-efm.json").read_text())["rows"]
    assert {row["mode"] for row in rows} == {"atttrack"}


def test_modes_that_the_networks_do_not_allow_are_refused(
    runs: Path, crossing: Path, exported: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(runs / "yolo-mid"), "--data", str(crossing.parent.parent), "--modes", "naive"]) == 2
    assert "mode 'naive' wants the networks teacher, plain" in capsys.readouterr().err


def test_a_program_that_fails_ends_it(
    runs: Path, crossing: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(trained_run.subprocess, "run", lambda *a, **o: SimpleNamespace(returncode=3))
    assert main([str(runs / "yolo-mid"), "--data", str(crossing.parent.parent)]) == 2
    assert "export.to_onnx" in (said := capsys.readouterr().err)
    assert "ended with 3" in said


def test_runs_that_do_not_go_together_are_refused(runs: Path, tmp_path: Path) -> None:
    lonely = TrainedRun.find(write_run(tmp_path / "lonely", mapping="ifm"))
    with pytest.raises(ScoreError, match="--teacher RUN"):
        networks_of(lonely, True, None, None)
    with pytest.raises(ScoreError, match="plain student itself"):
        networks_of(TrainedRun.find(runs / "yolo-mid"), False, None, lonely)
    with pytest.raises(ScoreError, match="trained with mapping 'ifm', not 'none'"):
        wants_pivot(lonely, "none")
    with pytest.raises(ScoreError, match=r"no .*weights\.pt"):
        TrainedRun.find(tmp_path / "runs")


def test_names_of_results_say_run_and_mapping_once(tmp_path: Path) -> None:
    shipped = tmp_path / "models" / "weights" / "yolo-student.pt"
    shipped.parent.mkdir(parents=True)
    shipped.touch()
    shipped.with_suffix(".json").write_text(json.dumps({"recipe": RECIPE, "step": 1}))
    assert default_name(TrainedRun.find(shipped), "efm") == "score-yolo-student-efm"
    efm = TrainedRun.find(write_run(tmp_path / "mot15" / "yolo-atttrack-efm", mapping="efm"))
    assert default_name(efm, "efm") == "score-mot15-yolo-atttrack-efm"
    assert wants_pivot(efm, None)


@pytest.mark.training
def test_real_weights_go_all_the_way(crossing: Path, tmp_path: Path) -> None:
    """A network of random weights, exported and run: nobody is found, everything is written down."""
    torch = pytest.importorskip("torch")
    from tests.support.trained_network import as_if_trained
    from training.models.yolo import YoloFairMot

    run = write_run(tmp_path / "runs" / "new", input_width=96, input_height=64)
    network = as_if_trained(YoloFairMot(0.125))
    recipe = json.loads((run / "facts.json").read_text())["recipe"]
    torch.save({"network": network.state_dict(), "recipe": recipe, "commit": "abc", "step": 0}, run / "weights.pt")
    where = ["--data", str(crossing.parent.parent), "--half", "all", "--output", str(tmp_path), "--device", "cpu"]
    assert main([str(run), *where, "--name", "new"]) == 0
    result = json.loads((tmp_path / "new.json").read_text())
    assert result["networks"] == {"plain": {"network": "yolo-1/8", "mapping": "none", "commit": "abc"}}
    assert result["rows"][0]["misses"] <= result["rows"][0]["boxes"] == 42


def test_model_files_are_scored_without_those_that_no_mode_needs(
    runs: Path, crossing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder with a teacher and a layerwise student, whose runs are told."""
    for role, name in (("teacher", "teacher"), ("student", "student-plain")):
        onnx.save(tiny_model(signature(role, (320, 192), pair="yolo")), tmp_path / f"yolo-{name}-320x192.onnx")
    trained = [f"teacher={runs / 'yolo-teacher'}", f"plain={runs / 'yolo-layerwise'}"]
    where = ["--data", str(crossing.parent), "--sequences", crossing.name, "--half", "all", "--output", str(tmp_path)]
    what = [
        "--models",
        str(tmp_path),
        "--pair",
        "yolo",
        "--size",
        "320x192",
        "--modes",
        "naive",
        "predicted",
        "--k",
        "2",
    ]
    monkeypatch.setattr("sys.argv", ["accuracy", *where, *what, "--device", "cpu", "--trained", *trained])
    accuracy.main()
    result = json.loads((tmp_path / "accuracy.json").read_text())
    assert {row["mode"] for row in result["rows"]} == {"naive", "predicted"}
    assert result["association"] == "service"
    assert result["trained"]["plain"]["recipe"]["transfer"] == "layerwise"
