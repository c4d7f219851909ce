"""Frames that no network sees: they cost no work on pixels, and nobody comes or goes on one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.arms import FrameTracker
from edge.pipeline.config import LaneSettings, PipelineSettings
from edge.pipeline.pipeline import TrackedFrame, TrackingPipeline
from edge.sources.base import Frame
from tests.support.scripted_backend import Crowd, Scripted

FPS = 10.0


class Untouched(np.ndarray):
    """Pixels that nobody may read."""

    def __array_ufunc__(self, *args: object, **kwargs: object) -> None:
        raise AssertionError("somebody computed with the pixels of a predicted frame")

    def __array_function__(self, *args: object, **kwargs: object) -> None:
        raise AssertionError("somebody read the pixels of a predicted frame")


def _frame(index: int, *, session: int = 0, touchable: bool = True) -> Frame:
    pixels = np.zeros((384, 640, 3), np.uint8)
    return Frame(pixels if touchable else pixels.view(Untouched), index, index / FPS, 0.0, "media", session=session)


def _crowd(people: int = 3, seed: int = 0) -> Crowd:
    rng = np.random.default_rng(seed)
    return Crowd(
        rng.uniform((15, 12), (60, 36), (people, 2)), rng.uniform(-3, 3, (people, 2)), np.full((people, 2), (6.0, 12.0))
    )


def _run(scripted: Scripted, frames: int, k: int, student_every: int) -> list[TrackedFrame]:
    pipeline = TrackingPipeline(scripted.backend, PipelineSettings(LaneSettings(k, student_every=student_every)))
    pipeline.add_lane("a")
    tracked = []
    for index in range(frames):
        if isinstance(scripted, Crowd):
            scripted.time_s = index / FPS
        tracked += pipeline.collect(pipeline.submit({"a": _frame(index)}))
    return tracked


def test_a_predicted_frame_without_people_has_no_tracks() -> None:
    scripted = Scripted()
    scripted.scores = []
    kinds = [(one.kind, len(one.tracks)) for one in _run(scripted, 3, 3, 3)]
    assert kinds == [("teacher", 0), ("predicted", 0), ("predicted", 0)]


def test_a_predicted_frame_costs_no_network_no_letterbox_and_no_look_at_its_pixels() -> None:
    scripted = Scripted()
    pipeline = TrackingPipeline(scripted.backend, PipelineSettings(LaneSettings(6, student_every=3)))
    pipeline.add_lane("a")
    kinds = []
    for index in range(12):
        seen = len(scripted.images)
        looked_at = index % 3 == 0
        (tracked,) = pipeline.collect(pipeline.submit({"a": _frame(index, touchable=looked_at)}))
        kinds.append(tracked.kind[0])
        assert len(scripted.images) - seen == looked_at
        assert pipeline.times.letterbox.frames == len(scripted.images)
    assert "".join(kinds) == "tppsppt" + "ppspp"


@given(st.integers(0, 10_000), st.integers(2, 8), st.integers(1, 4))
@settings(max_examples=15, deadline=None)
def test_nobody_is_born_or_dies_on_a_predicted_frame(seed: int, k: int, student_every: int) -> None:
    rng = np.random.default_rng(seed)
    scripted = _crowd(5, seed)
    whole = scripted.starts, scripted.speeds, scripted.sides
    pipeline = TrackingPipeline(scripted.backend, PipelineSettings(LaneSettings(k, student_every=student_every)))
    pipeline.add_lane("a")
    before: set[int] = set()
    for index in range(30):
        scripted.time_s = index / FPS
        here = rng.random(5) < 0.8  # the networks miss people, and see them again
        scripted.starts, scripted.speeds, scripted.sides = (part[here] for part in whole)
        (tracked,) = pipeline.collect(pipeline.submit({"a": _frame(index)}))
        ids = set(tracked.tracks.ids.tolist())
        if tracked.kind == "predicted":
            assert ids == before
            assert (tracked.tracks.detection == -1).all()
        before = ids


def test_each_track_says_for_how_long_it_was_not_seen() -> None:
    for tracked in _run(_crowd(), 12, 4, 2):
        expected = (tracked.since_teacher % 2) / FPS
        assert len(tracked.tracks) == 3
        assert tracked.tracks.unseen_s == pytest.approx(expected, abs=1e-5)
        assert tracked.tracks.ages_s == pytest.approx(tracked.frame.index / FPS, abs=1e-5)


@pytest.mark.parametrize("k", [2, 3, 5])
def test_without_a_student_it_is_frame_skipping(k: int) -> None:
    scripted, twin = _crowd(4, 7), _crowd(4, 7)
    ours = _run(scripted, 20, k, k)
    skipping = TrackingPipeline(twin.backend, PipelineSettings(max_lanes=1))
    with FrameTracker(skipping, "predicted", k) as tracker:
        for index, one in enumerate(ours):
            twin.time_s = index / FPS
            theirs = tracker.track(_frame(index))
            assert (one.kind, one.since_teacher) == (theirs.kind, theirs.since_teacher)
            np.testing.assert_array_equal(one.tracks.ids, theirs.tracks.ids)
            np.testing.assert_allclose(one.tracks.xyxy, theirs.tracks.xyxy, atol=1e-3)


def test_the_first_frame_of_another_session_is_never_predicted() -> None:
    pipeline = TrackingPipeline(_crowd().backend, PipelineSettings(LaneSettings(8, student_every=8)))
    pipeline.add_lane("a")
    seen = []
    for index, session in enumerate([0, 0, 0, 1, 1]):
        (tracked,) = pipeline.collect(pipeline.submit({"a": _frame(index, session=session)}))
        seen.append((tracked.kind[0], tracked.discontinuity))
    assert seen == [("t", False), ("p", False), ("p", False), ("t", True), ("p", False)]


def test_a_period_of_the_student_may_change_between_frames() -> None:
    pipeline = TrackingPipeline(_crowd().backend, PipelineSettings())
    pipeline.add_lane("a", LaneSettings(6, student_every=6))
    kinds = []
    for index in range(6):
        if index == 3:
            pipeline.change_lane("a", LaneSettings(6, student_every=1))
        kinds += [one.kind[0] for one in pipeline.collect(pipeline.submit({"a": _frame(index)}))]
    assert "".join(kinds) == "tppsss"
    for wrong in (0, 1001):
        with pytest.raises(ValueError, match="student_every must be 1 to 1000"):
            LaneSettings(student_every=wrong)
