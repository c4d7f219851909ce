"""Both trainings run on a tiny data folder, learn, save, and go on after any end as if nothing had happened."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.tiny_data import write_data, write_recipe
from training import train_plain, train_student
from training.checkpoint import load_checkpoint
from training.recipe import Recipe
from training.train_student import first_classifier

ROOT = Path(__file__).resolve().parents[2]
KINDS = {"plain": "", "prior": 'mapping = "ifm"', "layerwise": 'transfer = "layerwise"'}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_data(tmp_path)


def arguments(folder: Path, data: Path, name: str, steps: int, kind: str = "plain", more: str = "") -> list[str]:
    """A run's command line; a student's teacher and start are folder/teacher."""
    recipe = write_recipe(folder / f"{name}.toml", steps, f"{KINDS[kind]}\n{more}")
    words = [str(recipe), "--data", str(data), "--out", str(folder / name), "--device", "cpu"]
    teacher = str(folder / "teacher" / "weights.pt")
    return words if kind == "plain" else [*words, "--teacher", teacher, "--start", teacher]


def train(words: list[str]) -> dict[str, Any]:
    """The facts of the run."""
    (train_student if "--teacher" in words else train_plain).main(words)
    return facts(words)


def facts(words: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(words[words.index("--out") + 1]) / "facts.json").read_text())
    return found


def teach(folder: Path, data: Path) -> Path:
    train(arguments(folder, data, "teacher", 2))
    return folder / "teacher" / "weights.pt"


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_killed_at_any_moment_goes_on_with_the_losses_of_one_that_was_not(
    tmp_path: Path, data: Path, kind: str
) -> None:
    if kind != "plain":
        teach(tmp_path, data)
    more = "pretrain_steps = 3\nimages = ['photos']\nimage_share = 0.5" if kind == "plain" else ""
    straight = train(arguments(tmp_path, data, "straight", 9, kind, more))
    killed = arguments(tmp_path, data, "killed", 9, kind, more)
    module = "training.train_plain" if kind == "plain" else "training.train_student"
    process = subprocess.Popen(
        [sys.executable, "-m", module, *killed, "--save-every", "0"],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())},
    )
    while process.poll() is None:
        if (tmp_path / "killed" / "facts.json").exists() and facts(killed)["step"] >= 3:
            process.send_signal(signal.SIGKILL)
            process.wait()
        time.sleep(0.002)
    before = facts(killed)["step"]
    resumed = train(killed)
    assert 3 <= before <= 9
    assert resumed["step"] == 9
    assert resumed["losses"] == straight["losses"]


def test_a_stopped_run_ends_with_the_weights_of_one_that_never_stopped(tmp_path: Path, data: Path) -> None:
    train(arguments(tmp_path, data, "straight", 4))
    assert train([*arguments(tmp_path, data, "stopped", 4), "--steps", "2"])["step"] == 2
    train(arguments(tmp_path, data, "stopped", 4))
    straight, stopped = (load_checkpoint(tmp_path / name / "checkpoint.pt") for name in ("straight", "stopped"))
    assert straight is not None
    assert stopped is not None
    for part in ("network", "average", "classifier"):
        for name, value in straight[part].items():
            torch.testing.assert_close(stopped[part][name], value, rtol=0, atol=0, msg=name)


def test_a_run_that_ended_before_its_last_files_were_written_writes_them(tmp_path: Path, data: Path) -> None:
    words = arguments(tmp_path, data, "run", 2)
    train(words)
    for name in ("weights.pt", "facts.json"):
        (tmp_path / "run" / name).unlink()
    assert train(words)["step"] == 2
    assert (tmp_path / "run" / "weights.pt").exists()


def test_a_run_does_not_go_on_with_another_recipe(tmp_path: Path, data: Path) -> None:
    train(arguments(tmp_path, data, "run", 2))
    with pytest.raises(ValueError, match=r"'steps': 2.*'steps': 3.*another --out"):
        train(arguments(tmp_path, data, "run", 3))
    torch.save({"network": {}, "step": 2}, tmp_path / "run" / "checkpoint.pt")
    with pytest.raises(ValueError, match=r"earlier version.*--start"):
        train(arguments(tmp_path, data, "run", 3))


def test_the_record_says_what_was_learnt_from_and_where(tmp_path: Path, data: Path) -> None:
    found = train(arguments(tmp_path, data, "run", 2, more="images = ['photos']\nimage_share = 0.5\naccumulate = 2"))
    assert found["data"] == {
        "sequences": {"seq": {"frames": 12, "identities": 1}},
        "images": {"photos": 2},
        "missing": [],
    }
    assert found["device"] == "cpu"
    assert found["seconds"] >= 0
    assert found["samples_per_s"] > 0
    assert 0 <= found["share_computing"] <= 1
    assert [row["step"] for row in found["losses"]] == [1, 2]
    assert {"hm", "wh", "reg", "id", "total"} <= set(found["losses"][0])


def test_pictures_are_counted_by_the_folders_that_the_recipe_names_whatever_their_form(
    tmp_path: Path, data: Path
) -> None:
    coco = data / "images" / "coco"
    (coco / "annotations").mkdir(parents=True)
    (coco / "images").mkdir()
    shutil.copytree(data / "images" / "photos" / "images", coco / "images" / "val")
    boxes = [{"category_id": 1, "image_id": 1, "bbox": [20, 20, 12, 30]}]
    labels = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": boxes,
    }
    (coco / "annotations" / "instances_val.json").write_text(json.dumps(labels))
    found = train(arguments(tmp_path, data, "run", 1, more="images = ['photos', 'coco']\nimage_share = 0.5"))
    assert found["data"]["images"] == {"photos": 2, "coco": 1}


def test_data_that_are_not_at_hand_are_an_error_unless_told_otherwise(tmp_path: Path, data: Path) -> None:
    words = arguments(tmp_path, data, "run", 1, more="images = ['nowhere']")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        train(words)
    assert train([*words, "--present"])["data"]["missing"] == ["nowhere"]
    (data / "sequences").rename(data / "elsewhere")
    with pytest.raises(FileNotFoundError, match="none of seq"):
        train([*words, "--present"])


def test_a_share_of_the_steps_is_a_whole_run(tmp_path: Path, data: Path) -> None:
    found = train([*arguments(tmp_path, data, "run", 40), "--share", "0.05"])
    assert found["step"] == found["recipe"]["steps"] == 2


def test_the_student_learns_beside_a_frozen_teacher(tmp_path: Path, data: Path) -> None:
    teacher = teach(tmp_path, data)
    before = teacher.read_bytes()
    found = train(arguments(tmp_path, data, "student", 6, "prior"))
    assert all(np.isfinite(loss["mimic"]) for loss in found["losses"])
    assert found["losses"][-1]["hm"] < found["losses"][0]["hm"] * 1.5
    saved = load_checkpoint(tmp_path / "student" / "weights.pt")
    assert saved is not None
    assert saved["network"]["hm.0.weight"].shape == (16, 17, 3, 3)
    assert saved["network"]["hm.0.weight"][:, 16].abs().max() > 0  # the prior channel has learnt something
    assert teacher.read_bytes() == before


def test_the_baseline_learns_the_attention_of_the_teacher_and_gets_no_prior(tmp_path: Path, data: Path) -> None:
    teach(tmp_path, data)
    found = train(arguments(tmp_path, data, "student", 2, "layerwise"))
    assert all(np.isfinite(loss["attention"]) for loss in found["losses"])
    saved = load_checkpoint(tmp_path / "student" / "weights.pt")
    assert saved is not None
    assert saved["network"]["hm.0.weight"].shape == (16, 16, 3, 3)


def test_a_missing_teacher_is_named(tmp_path: Path, data: Path) -> None:
    with pytest.raises(FileNotFoundError, match="train_plain"):
        train(arguments(tmp_path, data, "student", 2, "prior"))


def test_a_checkpoint_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "none.pt") is None


def test_a_run_that_goes_on_from_weights_keeps_their_classifier(tmp_path: Path, data: Path) -> None:
    teach(tmp_path, data)
    words = [*arguments(tmp_path, data, "more", 1, more="learning_rate = 0.0"), "--start"]
    train([*words, str(tmp_path / "teacher" / "weights.pt")])
    old, new = (load_checkpoint(tmp_path / name / "weights.pt") for name in ("teacher", "more"))
    assert old is not None
    assert new is not None
    assert old["identities"] == {"seq": 1}
    torch.testing.assert_close(new["classifier"], old["classifier"], rtol=0, atol=0)


def record(identities: int, embedding: int, value: float) -> dict[str, Any]:
    """Of a weights.pt, as far as its classifier goes."""
    return {
        "classifier": {
            "linear.weight": torch.full((identities, embedding), value, dtype=torch.float16),
            "linear.bias": torch.zeros(identities, dtype=torch.float16),
        }
    }


@pytest.mark.parametrize(
    ("mapping", "teacher", "start", "value"),
    [
        ("ifm", (5, 64), (5, 64), 1.0),
        ("efm", (5, 64), (5, 64), 1.0),
        ("none", (5, 64), (5, 64), 2.0),
        ("efm", (5, 128), (5, 64), 2.0),
        ("efm", (5, 128), (7, 64), None),
    ],
)
def test_a_student_begins_with_the_classifier_of_the_space_that_it_is_to_share(
    mapping: str, teacher: tuple[int, int], start: tuple[int, int], value: float | None
) -> None:
    recipe = Recipe("p", "n", 1, mapping=mapping)
    found = first_classifier(recipe, record(*teacher, 1.0), record(*start, 2.0), 64, {"seq": 5})
    assert (None if found is None else found["linear.weight"].mean().item()) == value
    assert found is None or found["linear.weight"].dtype == torch.float32


def test_training_begins_with_the_same_weights_each_time(tmp_path: Path, data: Path) -> None:
    """So that several processes agree, and a run that was killed before its first checkpoint loses nothing."""
    one, two = (train(arguments(tmp_path, data, name, 1))["losses"] for name in ("one", "two"))
    assert one == two


def test_a_recipe_that_names_no_data_learns_from_all_there_is(tmp_path: Path, data: Path) -> None:
    recipe = tmp_path / "any.toml"
    write_recipe(recipe, 1)
    recipe.write_text(recipe.read_text().replace('sequences = ["seq"]\n', ""))
    words = [str(recipe), "--data", str(data), "--out", str(tmp_path / "run"), "--device", "cpu"]
    found = train(words)["data"]
    assert (list(found["sequences"]), found["images"]) == (["seq"], {"photos": 2})


def test_all_that_a_folder_has_is_learnt_from_whatever_the_recipe_names(tmp_path: Path, data: Path) -> None:
    words = arguments(tmp_path, data, "run", 1, more="images = ['nowhere']")
    found = train([*words, "--all"])["data"]
    assert (list(found["sequences"]), found["images"]) == (["seq"], {"photos": 2})


def test_a_wrong_folder_is_one_sentence(tmp_path: Path, data: Path) -> None:
    words = arguments(tmp_path, tmp_path / "nowhere", "run", 1)
    done = subprocess.run(
        [sys.executable, "-m", "training.train_plain", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == (
        f"python -m training.train_plain: there is no folder {tmp_path / 'nowhere'}; DATA holds sequences/ or images/,"
        " or both\n"
    )


def test_weights_hold_the_resolved_recipe(tmp_path: Path, data: Path) -> None:
    words = arguments(tmp_path, data, "run", 1)
    recipe = json.loads(json.dumps(train(words)["recipe"]))
    saved = load_checkpoint(tmp_path / "run" / "weights.pt")
    assert saved is not None
    assert saved["recipe"] == recipe
    assert recipe["sequences"] == ["seq"] and recipe["ema"] == 0.99
