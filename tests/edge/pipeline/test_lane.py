"""What a reconnect of the source does to a lane: keyframe, identities, epoch; through the whole pipeline."""

import numpy as np
import pytest

from edge.ops.host import HostOps
from edge.pipeline.backend import Backend
from edge.pipeline.config import IdentityPolicy, LaneSettings
from edge.pipeline.pipeline import TrackedFrame, TrackingPipeline
from edge.sources.base import Frame
from engines.host import HostDevice
from tests.support.scripted_engine import Arrays, ScriptedEngine
from tests.support.tiny_pair import signature

SIZE = (320, 192)


class Street:
    """Scripted networks that see two people, told apart by their looks, wherever `x` says (cells)."""

    def __init__(self) -> None:
        self.x = [15.0, 60.0]
        self.backend = Backend(
            HostDevice(),
            HostOps(),
            ScriptedEngine(signature("teacher", SIZE), self._see),
            ScriptedEngine(signature("student", SIZE, prior=True), self._see),
        )

    def _see(self, inputs: Arrays, outputs: Arrays) -> None:
        for row, x in enumerate(self.x):
            outputs["scores"][row] = 0.9 - 0.1 * row
            outputs["points"][row] = x, 24
            outputs["boxes"][row] = 4 * x - 14, 66, 4 * x + 14, 126
            outputs["embeddings"][row] = np.eye(3)[row]


def pipeline_of(street: Street, identity: IdentityPolicy) -> TrackingPipeline:
    pipeline = TrackingPipeline(street.backend)
    pipeline.add_lane("door", LaneSettings(identity=identity))
    return pipeline


def track(pipeline: TrackingPipeline, index: int, time_s: float, session: int) -> TrackedFrame:
    frame = Frame(np.zeros((384, 640, 3), np.uint8), index, time_s, 1e9, "host", session=session)
    return pipeline.collect(pipeline.submit({"door": frame}))[0]


def ids_from_left(tracked: TrackedFrame) -> list[int]:
    return tracked.tracks.ids[np.argsort(tracked.tracks.xyxy[:, 0])].tolist()


@pytest.mark.parametrize(("identity", "after"), [("keep", [2, 1]), ("reset", [1, 2])])
def test_two_who_swap_sides_during_ten_seconds_keep_their_ids_or_get_new_ones(
    identity: IdentityPolicy, after: list[int]
) -> None:
    street = Street()
    pipeline = pipeline_of(street, identity)
    before = [track(pipeline, index, index / 25, 0) for index in range(30)]
    street.x.reverse()
    back = [track(pipeline, 30 + index, 11.2 + index / 25, 1) for index in range(9)]
    assert {tuple(ids_from_left(tracked)) for tracked in before} == {(1, 2)}
    if identity == "keep":
        assert {tuple(ids_from_left(tracked)) for tracked in back} == {tuple(after)}
        assert {tracked.epoch for tracked in before + back} == {1}
    else:
        assert [tracked.epoch for tracked in before + back] == [1] * 30 + [2] * 9
        people = {(tracked.epoch, int(id_)) for tracked in back for id_ in tracked.tracks.ids}
        assert not people & {(tracked.epoch, int(id_)) for tracked in before for id_ in tracked.tracks.ids}
    assert [tracked.discontinuity for tracked in before + back] == [False] * 30 + [True] + [False] * 8


@pytest.mark.parametrize("identity", ["keep", "reset"])
def test_nobody_is_shown_who_has_left_meanwhile(identity: IdentityPolicy) -> None:
    street = Street()
    pipeline = pipeline_of(street, identity)
    for index in range(30):
        track(pipeline, index, index / 25, 0)
    street.x = []
    assert all(len(track(pipeline, 30 + index, 1.6 + index / 25, 1).tracks) == 0 for index in range(5))


def test_first_frame_after_a_reconnect_is_a_keyframe_and_the_rhythm_starts_there() -> None:
    pipeline = pipeline_of(Street(), "keep")
    kinds = [track(pipeline, i, i / 25, session).kind for i, session in enumerate([0] * 9 + [1] * 8)]
    keyframes = [i for i, kind in enumerate(kinds) if kind == "teacher"]
    assert keyframes == [0, 6, 9, 15]


def test_first_frame_of_a_lane_is_no_discontinuity_however_often_the_source_had_to_try() -> None:
    tracked = track(pipeline_of(Street(), "reset"), 0, 0.0, 3)
    assert (tracked.epoch, tracked.discontinuity) == (1, False)


def test_policy_can_be_changed_while_the_stream_runs() -> None:
    pipeline = pipeline_of(Street(), "keep")
    epochs = [track(pipeline, 0, 0.0, 0).epoch, track(pipeline, 1, 1.0, 1).epoch]
    pipeline.change_lane("door", LaneSettings(identity="reset"))
    epochs += [track(pipeline, 2, 1.1, 1).epoch, track(pipeline, 3, 2.0, 2).epoch]
    assert epochs == [1, 1, 1, 2]
