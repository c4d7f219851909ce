"""The accuracy benchmark scores what a pipeline says against the right frames, and writes it down."""

import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from benchmarks.accuracy import evaluate, half_range, lines, rows
from benchmarks.arms import Variant, variants
from benchmarks.conditions import conditions, save
from benchmarks.scores import POOLED
from edge.pipeline.config import LaneSettings, PipelineSettings
from edge.pipeline.modes import MODES
from edge.pipeline.pipeline import TrackedFrame
from edge.tracking.detections import Tracks, TrackState
from edge.tracking.mot_format import read_mot

FRAMES = 7
LANE = "source"
ALL_MODES = ("teacher", "student", "naive", "no-update", "atttrack", "predicted")


class TruthfulPipeline:
    """Says what the truth says, late by `late` frames; counts on the sequence's name for its lane."""

    modes = tuple(MODES)

    def __init__(self, truth: Path, first: int, late: int = 0) -> None:
        self.truth, self.first, self.late = read_mot(truth), first, late
        self.settings = PipelineSettings()
        self.lanes: list[str] = []

    def add_lane(self, lane_id: str, settings: LaneSettings) -> None:
        self.lanes.append(lane_id)

    def remove_lane(self, lane_id: str) -> None:
        self.lanes.remove(lane_id)

    def submit(self, frames):
        return frames

    def collect(self, frames):
        frame = frames[LANE]
        now = self.truth.where(self.truth.frames == self.first + frame.index - self.late)
        count = len(now)
        tracks = Tracks(
            ids=now.ids,
            xyxy=now.xyxy,
            scores=np.ones(count, np.float32),
            states=np.full(count, TrackState.CONFIRMED, np.uint8),
            velocities=np.zeros((count, 2), np.float32),
            ages_s=np.zeros(count, np.float32),
            unseen_s=np.zeros(count, np.float32),
            detection=np.arange(count, dtype=np.int32),
        )
        kind = "teacher" if frame.index % 2 == 0 else "student"
        return [TrackedFrame(LANE, frame, tracks, kind, 1)]


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    """A sequence folder: one person who steps a body's width to the right in each frame."""
    folder = tmp_path / "walk"
    (folder / "img1").mkdir(parents=True)
    for number in range(1, FRAMES + 1):
        cv2.imwrite(str(folder / "img1" / f"{number:06d}.jpg"), np.zeros((48, 160, 3), np.uint8))
    info = f"name=walk\nimDir=img1\nframeRate=10\nseqLength={FRAMES}\nimWidth=160\nimHeight=48\nimExt=.jpg\n"
    (folder / "seqinfo.ini").write_text(f"[Sequence]\n{info}")
    (folder / "gt.txt").write_text("".join(f"{f},1,{1 + 20 * f},5,20,40,1,1,1\n" for f in range(1, FRAMES + 1)))
    return folder


def test_no_mode_makes_no_variant() -> None:
    assert variants([], [2, 4]) == []


def test_single_networks_have_no_period_and_the_others_one_variant_each() -> None:
    found = variants(ALL_MODES, [2, 6])
    assert [str(v) for v in found if v.k is None] == ["teacher", "student"]
    assert [v.k for v in found if v.k is not None] == [2, 6] * 4


@pytest.mark.parametrize(
    ("length", "first_half", "second_half"),
    [(525, (1, 262), (263, 525)), (600, (1, 300), (301, 600)), (795, (1, 397), (398, 795))],
)
def test_halves_are_those_of_fairmot(length: int, first_half: tuple[int, int], second_half: tuple[int, int]) -> None:
    assert half_range(length, "first") == first_half
    assert half_range(length, "second") == second_half
    assert half_range(length, "all") == (1, length)


def test_a_pipeline_that_tells_the_truth_scores_full_marks_on_its_half(walk: Path) -> None:
    variant = Variant("atttrack", 2)
    pipeline = TruthfulPipeline(walk / "gt.txt", first=4)
    scores = evaluate([walk], "second", {variant: pipeline})[variant][POOLED]
    assert (scores.mota, scores.idf1, scores.hota) == (1, 1, pytest.approx(1))
    assert scores.boxes == 4
    assert pipeline.lanes == []


def test_a_copy_of_mot17_is_scored_under_the_name_of_its_sequence(walk: Path) -> None:
    copy, variant = walk.rename(walk.with_name("MOT17-02-SDP")), Variant("atttrack", 2)
    scores = evaluate([copy], "all", {variant: TruthfulPipeline(copy / "gt.txt", first=1)})
    assert set(scores[variant]) == {"MOT17-02", POOLED}


def test_output_one_frame_late_is_noticed(walk: Path) -> None:
    variant = Variant("atttrack", 2)
    scores = evaluate([walk], "all", {variant: TruthfulPipeline(walk / "gt.txt", first=1, late=1)})
    assert scores[variant][POOLED].misses == FRAMES


def test_a_folder_without_truth_is_refused_by_name(walk: Path) -> None:
    pipeline = TruthfulPipeline(walk / "gt.txt", first=1)
    (walk / "gt.txt").unlink()
    with pytest.raises(ValueError, match=r"walk has no gt\.txt"):
        evaluate([walk], "all", {Variant("teacher", None): pipeline})


def test_table_and_records_hold_every_variant(walk: Path, tmp_path: Path) -> None:
    pipelines = {v: TruthfulPipeline(walk / "gt.txt", first=1) for v in variants(ALL_MODES, [2, 6])}
    scores = evaluate([walk], "all", pipelines)
    table = "\n".join(lines(scores))
    assert table.count("100.0") > 3 * 2 * (len(pipelines) - 2)  # skipped frames of one who walks that fast are wrong
    assert "atttrack K=6" in table
    records = list(rows(scores))
    assert len(records) == 2 * len(pipelines)
    assert {"mode", "k", "sequence", "mota", "idf1", "hota"} <= records[0].keys()
    path = save("table", {"conditions": conditions(), "rows": records}, tmp_path)
    assert json.loads(path.read_text())["rows"] == json.loads(json.dumps(records))


def test_conditions_name_machine_versions_and_models(tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"weights")
    found = conditions([model])
    assert found["cores"] >= 1
    assert found["versions"]["numpy"] == np.__version__
    assert found["models"] == {"model.onnx": "9a129038d9a00aed"}


def test_conditions_outside_a_checkout_have_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.conditions.subprocess", SimpleNamespace(run=_no_git))
    assert conditions()["commit"] == ""


def _no_git(*arguments, **options):
    raise FileNotFoundError("git")
