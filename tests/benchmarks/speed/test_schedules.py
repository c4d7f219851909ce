"""The schedules' benchmark adds up speeds by hand-checkable sums, and compares at equal speed."""

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.speed.schedules import Point, draw, fps, gain, run, schedules, verdict
from edge.pipeline.config import LaneSettings
from edge.pipeline.look_costs import StatedCosts
from tests.support.scripted_backend import Scripted

POINTS = [
    Point("skipping", "K=1", 50, 50, 60, 40),
    Point("skipping", "K=2", 200, 40, 50, 30),
    Point("adaptive", "q=0.8", 50, 50, 61, 40),
    Point("adaptive", "q=0.5", 200, 44, 52, 31),
]


def test_speed_is_what_the_looks_add_up_to() -> None:
    assert fps(Counter(teacher=1), (20.0, 5.0, 1.0)) == 50
    assert fps(Counter(teacher=1, student=2, predicted=10), (20.0, 5.0, 1.0)) == pytest.approx(1e3 * 13 / 40)


def test_schedules_are_compared_at_equal_speed() -> None:
    assert gain(POINTS, "mota", [50, 100, 200]) == pytest.approx([0, 2, 4])
    told = verdict(POINTS, 10, 1000)
    assert told["least_mota"] == 0
    assert 0 < told["mota"] < 4
    assert 1 < told["idf1"] < 2


def test_all_three_kinds_of_schedules_are_there() -> None:
    assert Counter(arm for arm, _ in schedules().values()) == {"skipping": 9, "fixed": 13, "adaptive": 11}
    assert StatedCosts(20, 5).student_share == 0.25


def test_every_schedule_tracks_every_frame_and_its_looks_are_counted(tmp_path: Path) -> None:
    (tmp_path / "img1").mkdir()
    for number in range(1, 25):
        cv2.imwrite(str(tmp_path / "img1" / f"{number:06d}.jpg"), np.zeros((192, 320, 3), np.uint8))
    about = "name=street\nimDir=img1\nframeRate=30\nseqLength=24\nimWidth=320\nimHeight=192\nimExt=.jpg\n"
    (tmp_path / "seqinfo.ini").write_text(f"[Sequence]\n{about}")
    (tmp_path / "gt.txt").write_text("".join(f"{number},1,29,53,28,60,1,1,1\n" for number in range(1, 25)))
    chosen = {"skip": LaneSettings(3, student_every=3), "mix": LaneSettings(6, student_every=2)}
    chosen["adaptive"] = LaneSettings(schedule="adaptive", quality=0.0)
    found = run(tmp_path, "second", Scripted().backend, chosen, StatedCosts(20, 5))
    assert {name: dict(kinds) for name, (_, kinds) in found.items()} == {
        "skip": {"teacher": 4, "predicted": 8},
        "mix": {"teacher": 2, "student": 4, "predicted": 6},
        "adaptive": {"teacher": 1, "predicted": 11},
    }
    assert {score.mota for score, _ in found.values()} == {1.0}


def test_the_figure_has_a_panel_for_each_sequence(tmp_path: Path) -> None:
    draw({"pooled": POINTS, "street": POINTS}, tmp_path / "figure.png")
    assert cv2.imread(str(tmp_path / "figure.png")).shape == (280, 720, 3)
