"""Retention over a sequence is what the service's metric shows while its window lasts."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.metrics.retention import RetentionCounts, count_retention, sum_retention
from edge.pipeline.pipeline import TrackedFrame
from edge.sources.base import Frame
from edge.tracking.detections import Tracks, TrackState
from service.tracks.id_retention import WINDOW, IdRetention

PICTURE = np.zeros((4, 4, 3), np.uint8)


def tracked(index: int, kind: str, ids: list[int]) -> TrackedFrame:
    n = len(ids)
    tracks = Tracks(
        ids=np.array(ids, np.int64),
        xyxy=np.zeros((n, 4), np.float32),
        scores=np.ones(n, np.float32),
        states=np.full(n, TrackState.CONFIRMED, np.uint8),
        velocities=np.zeros((n, 2), np.float32),
        ages_s=np.zeros(n, np.float32),
        unseen_s=np.zeros(n, np.float32),
        detection=np.arange(n, dtype=np.int32),
    )
    return TrackedFrame("lane", Frame(PICTURE, index, index / 25, 0.0, "media", index), tracks, kind, 0)


def test_without_keyframes_there_is_no_ratio() -> None:
    assert count_retention([]).ratio is None
    assert count_retention([tracked(0, "student", [1]), tracked(1, "student", [1])]).ratio is None


def test_one_of_two_who_is_gone_at_the_next_keyframe_makes_a_half() -> None:
    frames = [tracked(0, "teacher", [1, 2]), tracked(1, "student", [1]), tracked(2, "teacher", [2, 3])]
    assert count_retention(frames) == RetentionCounts(2, 1)
    assert sum_retention([RetentionCounts(2, 1), RetentionCounts(2, 2)]).ratio == 0.75


@given(
    st.lists(
        st.tuples(st.sampled_from(["teacher", "student", "predicted"]), st.sets(st.integers(1, 6))), max_size=WINDOW
    )
)
def test_the_services_metric_says_the_same(frames: list[tuple[str, set[int]]]) -> None:
    live = IdRetention()
    for kind, ids in frames:
        live.observe(kind, ids)
    assert count_retention([tracked(i, kind, sorted(ids)) for i, (kind, ids) in enumerate(frames)]).ratio == live.ratio
