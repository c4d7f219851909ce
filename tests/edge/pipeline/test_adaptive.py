"""The adaptive schedule on drawn scenes whose truth is known; the networks are scripted and see it."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from edge.arrays import F64
from edge.pipeline.adaptive import price
from edge.pipeline.config import LaneSettings, PipelineSettings
from edge.pipeline.look_costs import StatedCosts
from edge.pipeline.pipeline import TrackedFrame, TrackingPipeline
from edge.sources.base import Frame
from tests.support.scripted_backend import Crowd

TEACHER, STUDENT = 1.0, 0.24


@dataclass
class Scene:
    """People who walk evenly, each from a time on; pictures in which they are grey boxes."""

    starts: F64  # (N, 2) cells
    speeds: F64  # (N, 2) cells per second
    enters_s: list[float] = field(default_factory=list)
    fps: float = 30.0
    sway: float = 0.0
    """Cells by which everybody strays to and fro, twice a second."""

    def run(self, seconds: float, budget_ms: float | None = None, **settings: float) -> list[TrackedFrame]:
        crowd = Crowd(self.starts, self.speeds, np.full((len(self.starts), 2), (5.0, 12.0)))
        enters_s = np.array(self.enters_s or [0.0] * len(self.starts))
        whole = crowd.starts, crowd.speeds, crowd.sides
        lane = LaneSettings(schedule="adaptive", **settings)
        pipeline = TrackingPipeline(crowd.backend, PipelineSettings(lane, max_lanes=1), StatedCosts(30, 7))
        pipeline.add_lane("a")
        tracked = []
        for index in range(round(seconds * self.fps)):
            time_s = index / self.fps
            here = enters_s <= time_s
            crowd.starts, crowd.speeds, crowd.sides = (part[here] for part in whole)
            crowd.starts = crowd.starts + self.sway * np.sin(4 * np.pi * time_s)
            crowd.time_s = time_s
            pixels = np.full((192, 320, 3), 90, np.uint8)
            for x, y in 4 * crowd.points():
                pixels[max(0, int(y) - 24) : int(y) + 24, max(0, int(x) - 10) : int(x) + 10] = 200
            frame = Frame(pixels, index, time_s, 0.0, "media")
            tracked += pipeline.collect(pipeline.submit({"a": frame}, budget_ms))
        return tracked


def walkers(count: int = 4, speed: float = 2.0, **more: object) -> Scene:
    rng = np.random.default_rng(1)
    starts = np.stack((np.linspace(12, 66, count), rng.uniform(14, 34, count)), axis=1)
    angle = rng.uniform(0, 2 * np.pi, count)
    return Scene(starts, speed * np.stack((np.cos(angle), np.sin(angle)), axis=1) * 0.3, **more)


NOBODY = Scene(np.zeros((0, 2)), np.zeros((0, 2)))


def cost(tracked: list[TrackedFrame]) -> float:
    """In teacher's looks."""
    return sum({"teacher": TEACHER, "student": STUDENT, "predicted": 0.0}[one.kind] for one in tracked)


def test_a_still_and_empty_scene_costs_a_tenth_of_every_sixth_frame() -> None:
    every_sixth = 30 / 6 * (TEACHER + 5 * STUDENT)
    assert cost(NOBODY.run(20)) / 20 <= every_sixth / 10


@pytest.mark.parametrize("fps", [7.0, 15.0, 30.0])
@pytest.mark.parametrize("enters_s", [2.0, 2.4, 2.9, 3.33])
def test_the_first_person_in_an_empty_scene_has_a_box_within_the_stated_time(fps: float, enters_s: float) -> None:
    scene = Scene(np.array([[20.0, 24.0]]), np.array([[2.0, 0.0]]), [enters_s], fps)
    first = next(one for one in scene.run(6) if len(one.tracks))
    appeared_s = np.ceil(enters_s * fps) / fps
    assert first.frame.time_s - appeared_s <= 0.3


def test_quality_one_is_the_teacher_on_every_frame_and_quality_nought_only_the_bounds() -> None:
    assert {one.kind for one in walkers().run(2, quality=1.0)} == {"teacher"}
    kinds = [one.kind for one in walkers().run(4, quality=0.0, longest_s=0.5)]
    assert kinds.count("teacher") == 8
    assert kinds.count("student") == 0


def test_more_quality_costs_more() -> None:
    costs = [cost(walkers(sway=0.5).run(6, quality=quality)) for quality in (0.2, 0.5, 0.8, 0.95)]
    assert costs == sorted(costs)
    assert costs[-1] > 2 * costs[0]
    assert [price(quality) for quality in (1.0, 0.5)] == [0.0, 0.12]


def test_whoever_strays_from_straight_lines_is_looked_at_more_often() -> None:
    steady, straying = (cost(walkers(sway=sway).run(8)) for sway in (0.0, 1.5))
    assert straying > 1.5 * steady


def test_time_counts_in_seconds_not_in_frames() -> None:
    """At a quarter of the rate, a scene gets about as many looks a second, so a larger share of its frames."""
    slow, quick = (cost(walkers(sway=0.6, fps=fps).run(12)) for fps in (10.0, 40.0))
    assert 0.5 < slow / quick < 1.6


@pytest.mark.parametrize("quality", [0.0, 0.4, 0.9])
def test_the_bounds_hold(quality: float) -> None:
    tracked = walkers(sway=1.0).run(6, quality=quality, longest_s=0.7, shortest_s=0.2)
    times = [one.frame.time_s for one in tracked if one.kind == "teacher"]
    apart = np.diff([*times, tracked[-1].frame.time_s])
    assert apart.max() <= 0.7 + 1e-6
    assert apart[:-1].min() >= 0.2 - 1e-6


def test_a_newcomer_among_others_has_a_box_after_the_next_keyframe_and_one_look() -> None:
    scene = walkers(3)
    scene.enters_s = [0.0, 0.0, 3.1]
    tracked = scene.run(8, longest_s=0.8)
    told_s = next(one.frame.time_s for one in tracked if len(one.tracks) == 3)
    assert 3.1 <= told_s <= 3.1 + 0.8 + 0.5


def test_boxes_stay_where_people_are() -> None:
    scene = walkers(sway=0.4)
    tracked = scene.run(6)
    assert cost(tracked) < 0.35 * len(tracked)
    for one in tracked[30:]:
        truth = 4 * (scene.starts + 0.4 * np.sin(4 * np.pi * one.frame.time_s) + one.frame.time_s * scene.speeds)
        centres = (one.tracks.xyxy[:, :2] + one.tracks.xyxy[:, 2:]) / 2
        assert len(centres) == 4
        distance = np.abs(centres[:, None] - truth).max(axis=2).min(axis=1)
        assert distance.max() < 10, (one.frame.index, "half a box's width")


def test_without_any_time_everything_is_predicted_and_says_what_was_wished() -> None:
    tracked = walkers().run(1, budget_ms=0.0)
    assert {(one.kind, one.wish) for one in tracked} == {("predicted", "teacher")}


def test_with_little_time_the_student_looks_where_the_teacher_should() -> None:
    scene = walkers(sway=1.0)
    plenty, little = scene.run(4, quality=0.5), scene.run(4, quality=0.5, budget_ms=8.0)
    assert all(one.wish is None for one in plenty)
    refused = {(one.kind, one.wish) for one in little if one.wish is not None}
    assert refused == {("student", "teacher")}
    assert sum(one.kind == "teacher" for one in little) < sum(one.kind == "teacher" for one in plenty)


def test_fixed_and_adaptive_lanes_run_side_by_side_and_a_change_begins_with_a_keyframe() -> None:
    crowd = Crowd(np.array([[30.0, 20.0]]), np.zeros((1, 2)), np.array([[6.0, 12.0]]))
    pipeline = TrackingPipeline(crowd.backend, PipelineSettings())
    pipeline.add_lane("fixed", LaneSettings(4))
    pipeline.add_lane("adaptive", LaneSettings(schedule="adaptive", quality=0.0))
    kinds: dict[str, str] = {"fixed": "", "adaptive": ""}
    for index in range(12):
        if index == 8:
            pipeline.change_lane("adaptive", LaneSettings(3))
        frame = Frame(np.zeros((192, 320, 3), np.uint8), index, index / 30, 0.0, "media")
        for one in pipeline.collect(pipeline.submit(dict.fromkeys(kinds, frame))):
            kinds[one.lane_id] += one.kind[0]
    assert kinds["fixed"].count("t") >= 3 and "p" not in kinds["fixed"]
    assert kinds["adaptive"][:8] == "tppppppp"
    assert kinds["adaptive"][8] == "t"
