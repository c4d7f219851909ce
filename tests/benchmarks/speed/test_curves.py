"""Speed and accuracy are joined point by point, and never across different networks."""

import json
from pathlib import Path

import cv2
import pytest

from benchmarks.speed.curves import WIDTH_PX, Point, _floor, join, main

MODELS = {"yolo-teacher-576x320.onnx": "aa"}


def speed(**changed: object) -> dict[str, object]:
    rates = [("teacher", 1, 25.0), ("atttrack", 6, 80.0), ("atttrack", 2, 40.0), ("predicted", 6, 150.0)]
    runs = [{"mode": mode, "k": k, "fps": fps} for mode, k, fps in rates]
    machine = {"models": MODELS, "cores": 2, "cpu": "some CPU"}
    return {"size": "576x320", "source": "synthetic://", "conditions": machine, "runs": runs} | changed


def accuracy(**changed: object) -> dict[str, object]:
    scores = [("teacher", None, 0.6), ("atttrack", 2, 0.55), ("atttrack", 6, 0.5), ("atttrack", 4, 0.52)]
    rows = [
        {"mode": mode, "k": k, "sequence": sequence, "mota": mota - less, "idf1": mota}
        for mode, k, mota in scores
        for sequence, less in (("street", 0.1), ("pooled", 0.0))
    ]
    return {"input": "576x320", "half": "second", "conditions": {"models": MODELS}, "rows": rows} | changed


def test_without_a_common_point_there_is_no_curve() -> None:
    with pytest.raises(ValueError, match="no mode and K has both"):
        join(speed(runs=[]), accuracy(), "mota")


def test_points_are_those_that_both_have_in_the_order_of_k() -> None:
    curves = join(speed(), accuracy(), "mota")
    assert curves == {
        "teacher": [Point("teacher", 1, 25.0, 60.0)],
        "atttrack": [Point("atttrack", 2, 40.0, pytest.approx(55)), Point("atttrack", 6, 80.0, 50.0)],
    }
    assert join(speed(), accuracy(), "mota", "street")["teacher"][0].accuracy == pytest.approx(50)


def test_speed_and_accuracy_of_different_networks_are_not_joined() -> None:
    with pytest.raises(ValueError, match="different files yolo-teacher"):
        join(speed(), accuracy(conditions={"models": {"yolo-teacher-576x320.onnx": "bb"}}), "mota")
    with pytest.raises(ValueError, match="accuracy at 1088x608"):
        join(speed(), accuracy(input="1088x608"), "mota")


def test_the_picture_is_as_wide_as_a_readme(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "fps.json").write_text(json.dumps(speed()))
    (tmp_path / "accuracy.json").write_text(json.dumps(accuracy()))
    arguments = ["--fps", str(tmp_path / "fps.json"), "--accuracy", str(tmp_path / "accuracy.json")]
    assert main([*arguments, "--output", str(tmp_path / "curves.png")]) == 0
    assert cv2.imread(str(tmp_path / "curves.png")).shape[1] == WIDTH_PX
    assert main(["--fps", str(tmp_path / "none.json")]) == 2
    assert "none.json" in capsys.readouterr().err


def test_frame_skipping_leaves_the_panel_before_it_squeezes_the_others() -> None:
    others = {"teacher": [Point("teacher", 1, 25.0, 60.0)], "atttrack": [Point("atttrack", 6, 80.0, 50.0)]}
    assert _floor(others) is None
    assert _floor({**others, "predicted": [Point("predicted", 2, 50.0, 45.0)]}) is None
    assert _floor({**others, "predicted": [Point("predicted", 12, 300.0, -20.0)]}) == 38.0
