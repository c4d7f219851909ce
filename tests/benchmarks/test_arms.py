"""Frame skipping says what the tracker predicts, and lets the teacher see keyframes only."""

import numpy as np
import pytest

from benchmarks.arms import FrameTracker, has_period
from edge.pipeline.config import PipelineSettings
from edge.pipeline.pipeline import TrackingPipeline
from edge.sources.base import Frame
from tests.support.scripted_backend import Crowd

FPS = 10.0


def frame(index: int) -> Frame:
    return Frame(np.zeros((192, 320, 3), np.uint8), index, index / FPS, 0.0, "media", index)


def crowd() -> Crowd:
    return Crowd(np.array([[20.0, 20.0], [50.0, 25.0]]), np.array([[3.0, 0.0], [-2.0, 1.0]]), np.full((2, 2), 8.0))


def test_only_single_networks_have_no_period() -> None:
    arms = ("teacher", "student", "adaptive", "naive", "predicted", "second")
    assert [has_period(arm) for arm in arms] == [False, False, False, True, True, True]


def test_every_second_frame_of_an_arm_is_a_look() -> None:
    seen, kinds = crowd(), ""
    with FrameTracker(TrackingPipeline(seen.backend, PipelineSettings(max_lanes=1)), "second", 6) as tracker:
        for index in range(8):
            seen.time_s = index / FPS
            kinds += tracker.track(frame(index)).kind[0]
    assert kinds == "tpspsptp"


def test_the_teacher_sees_every_third_frame_and_the_boxes_between_are_the_trackers_predictions() -> None:
    seen = crowd()
    pipeline = TrackingPipeline(seen.backend, PipelineSettings(max_lanes=1))
    kinds, networks_ran = [], []
    with FrameTracker(pipeline, "predicted", 3) as tracker:
        for index in range(10):
            seen.time_s = index / FPS
            tracked = tracker.track(frame(index))
            kinds.append(tracked.kind)
            networks_ran.append(pipeline.times.teacher.frames)
            assert tracked.frame.index == index
            if index % 3:
                lane = pipeline._lanes["source"]
                expected = lane.tracker.predict_boxes((index % 3) / FPS)
                np.testing.assert_array_equal(tracked.tracks.ids, expected.ids)
                np.testing.assert_allclose(tracked.tracks.xyxy, expected.xyxy, atol=1e-3)
                assert (tracked.tracks.detection == -1).all()
    assert kinds == ["teacher", "predicted", "predicted"] * 3 + ["teacher"]
    assert networks_ran == [1, 1, 1, 2, 2, 2, 3, 3, 3, 4]
    assert pipeline.lane_ids == ()


def test_people_go_on_between_keyframes() -> None:
    seen = crowd()
    pipeline = TrackingPipeline(seen.backend, PipelineSettings(max_lanes=1))
    with FrameTracker(pipeline, "predicted", 4) as tracker:
        for index in range(15):
            seen.time_s = index / FPS
            tracked = tracker.track(frame(index))
    centres = (tracked.tracks.xyxy[:, :2] + tracked.tracks.xyxy[:, 2:]) / 2
    assert centres == pytest.approx(4 * seen.points(), abs=4)


def test_other_arms_are_the_pipelines_modes() -> None:
    pipeline = TrackingPipeline(crowd().backend, PipelineSettings(max_lanes=1))
    with FrameTracker(pipeline, "atttrack", 2) as tracker:
        assert [tracker.track(frame(index)).kind for index in range(4)] == ["teacher", "student"] * 2
