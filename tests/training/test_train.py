"""Both trainings run on a tiny data folder, learn, save, and go on after a stop as if nothing had happened."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from training import train_plain, train_student
from training.checkpoint import load_checkpoint

RECIPE = """
pair = "tiny"
network = "yolo-1/8"
steps = {steps}
batch = 2
warmup = 2
input_width = 96
input_height = 64
sequences = ["seq"]
{more}
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with one sequence of a person who walks over grey ground."""
    folder = tmp_path / "data" / "sequences" / "seq"
    (folder / "img1").mkdir(parents=True)
    rows = []
    for number in range(1, 13):
        picture = np.full((64, 96, 3), 90, np.uint8)
        left = 10 + 2 * number
        cv2.rectangle(picture, (left, 20), (left + 12, 50), (250, 250, 250), -1)
        cv2.imwrite(str(folder / "img1" / f"{number:06d}.jpg"), picture)
        rows.append(f"{number},1,{left + 1},21,12,30,1,1,1")
    (folder / "gt.txt").write_text("\n".join(rows))
    (folder / "seqinfo.ini").write_text("[Sequence]\nseqLength=12\n")
    return tmp_path / "data"


def recipe(folder: Path, name: str, steps: int, more: str = "") -> str:
    path = folder / f"{name}.toml"
    path.write_text(RECIPE.format(steps=steps, more=more))
    return str(path)


def plain(folder: Path, data: Path, out: str, steps: int, stop: int | None = None) -> Path:
    arguments = [recipe(folder, out, steps), "--data", str(data), "--out", str(folder / out)]
    train_plain.main(arguments + (["--steps", str(stop)] if stop else []))
    return folder / out / "weights.pt"


def test_a_stopped_run_ends_with_the_weights_of_one_that_never_stopped(tmp_path: Path, data: Path) -> None:
    torch.manual_seed(0)
    straight = load_checkpoint(plain(tmp_path, data, "straight", 4))
    torch.manual_seed(0)
    plain(tmp_path, data, "stopped", 4, stop=2)
    assert json.loads((tmp_path / "stopped" / "facts.json").read_text())["step"] == 2
    stopped = load_checkpoint(plain(tmp_path, data, "stopped", 4))
    assert straight is not None
    assert stopped is not None
    assert stopped["step"] == 4
    for name, value in straight["network"].items():
        torch.testing.assert_close(stopped["network"][name], value, atol=1e-4, rtol=1e-3)


def test_the_student_learns_beside_a_frozen_teacher(tmp_path: Path, data: Path) -> None:
    teacher = plain(tmp_path, data, "teacher", 2)
    before = teacher.read_bytes()
    arguments = [recipe(tmp_path, "student", 6, 'mapping = "ifm"'), "--data", str(data), "--out", str(tmp_path / "s")]
    train_student.main([*arguments, "--teacher", str(teacher), "--start", str(teacher)])
    facts = json.loads((tmp_path / "s" / "facts.json").read_text())
    assert facts["step"] == 6
    assert all(np.isfinite(loss["mimic"]) for loss in facts["losses"])
    assert facts["losses"][-1]["hm"] < facts["losses"][0]["hm"] * 1.5
    saved = load_checkpoint(tmp_path / "s" / "weights.pt")
    assert saved is not None
    assert saved["network"]["hm.0.weight"].shape == (16, 17, 3, 3)
    assert saved["network"]["hm.0.weight"][:, 16].abs().max() > 0  # the prior channel has learnt something
    assert teacher.read_bytes() == before


def test_the_baseline_learns_the_attention_of_the_teacher_and_gets_no_prior(tmp_path: Path, data: Path) -> None:
    teacher = plain(tmp_path, data, "teacher", 2)
    arguments = [recipe(tmp_path, "l", 2, 'transfer = "layerwise"'), "--data", str(data), "--out", str(tmp_path / "l")]
    train_student.main([*arguments, "--teacher", str(teacher), "--start", str(teacher)])
    facts = json.loads((tmp_path / "l" / "facts.json").read_text())
    assert all(np.isfinite(loss["attention"]) for loss in facts["losses"])
    saved = load_checkpoint(tmp_path / "l" / "weights.pt")
    assert saved is not None
    assert saved["network"]["hm.0.weight"].shape == (16, 16, 3, 3)


def test_a_missing_teacher_is_named(tmp_path: Path, data: Path) -> None:
    arguments = [recipe(tmp_path, "student", 2), "--data", str(data), "--out", str(tmp_path / "s")]
    with pytest.raises(FileNotFoundError, match="train_plain"):
        train_student.main([*arguments, "--teacher", str(tmp_path / "no.pt"), "--start", str(tmp_path / "no.pt")])


def test_a_checkpoint_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "none.pt") is None
