"""The pipeline with scripted networks, which say what they were given, and with the tiny pair on a drawn scene."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.ops.host import HostOps
from edge.pipeline.backend import Backend, open_backend
from edge.pipeline.config import LaneSettings, Mode, PipelineSettings
from edge.pipeline.modes import MODES
from edge.pipeline.pipeline import Kind, PipelineError, TrackedFrame, TrackingPipeline
from edge.pipeline.schedule import LaneState, Wish
from edge.sources.base import Frame
from edge.tracking.boxes import iou_matrix
from edge.tracking.tracker import TrackerSettings
from engines.host import HostDevice
from tests.support.drawn import Drawn
from tests.support.reference_prior import reference_prior
from tests.support.scripted_backend import SIZE, Crowd, Scripted
from tests.support.tiny_pair import write_tiny_pair

SCENE = Drawn(((60, 66), (320, 192), (580, 318)), ((400, 0), (20, 0), (-350, 0)))


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_tiny_pair(folder, SIZE)
    return folder


def _frame(index: int, size: tuple[int, int] = (640, 384), time_s: float | None = None) -> Frame:
    image = np.full((size[1], size[0], 3), index % 200, np.uint8)
    return Frame(image, index, index / 30 if time_s is None else time_s, 1e9, "media")


def _run(pipeline: TrackingPipeline, frames: Iterable[dict[str, Frame]]) -> list[list[TrackedFrame]]:
    return [pipeline.collect(pipeline.submit(tick)) for tick in frames]


def _pipeline(
    models: Path, mode: Mode = "atttrack", lanes: tuple[str, ...] = ("a",), k: int = 6, weak_share: float = 0.5
) -> TrackingPipeline:
    chosen = PipelineSettings(LaneSettings(k, mode), tracker=TrackerSettings(weak_share=weak_share))
    pipeline = TrackingPipeline(open_backend(models, SIZE, mode=mode, pair="tiny", threads=1), chosen)
    for lane_id in lanes:
        pipeline.add_lane(lane_id)
    return pipeline


def test_a_tick_without_frames_has_no_result(models: Path) -> None:
    pipeline = _pipeline(models, lanes=())
    assert pipeline.collect(pipeline.submit({})) == []
    assert pipeline.lane_ids == ()


def test_a_frame_without_people_has_no_tracks(models: Path) -> None:
    (((tracked,),)) = _run(_pipeline(models), [{"a": _frame(0)}])
    assert len(tracked.tracks) == 0
    assert (tracked.kind, tracked.since_teacher, tracked.settings.k) == ("teacher", 0, 6)


# --- what the networks are given


def test_the_student_sees_the_teachers_heatmap_moved_by_its_tracks() -> None:
    """One person at 80 px/s seen at every frame; the prior's blob must keep up, by the time stamps."""
    scripted = Scripted()
    pipeline = TrackingPipeline(scripted.backend, PipelineSettings(LaneSettings(k=4)))
    pipeline.add_lane("a")
    scripted.heatmap[:] = 0.01
    times = np.cumsum([0.0, *([1 / 30, 1 / 15, 1 / 20] * 27)])  # an unsteady camera
    for index, time_s in enumerate(times):
        keyframe = index % 4 == 0
        if keyframe:
            keyframe_s = time_s
        scripted.point = (10.5 + 10 * time_s, 20.5)
        scripted.heatmap[:] = 0.01
        scripted.heatmap[20, int(scripted.point[0])] = 0.9
        (tracked,) = pipeline.collect(pipeline.submit({"a": _frame(index, time_s=float(time_s))}))
        assert tracked.kind == ("teacher" if keyframe else "student")
        assert tracked.since_teacher == index % 4
        if keyframe or index < 40:
            continue  # the Kalman filter needs a while until it has the speed
        prior = scripted.priors[-1]
        where = np.argwhere(prior == np.float32(0.9))
        assert len(where) == 1
        assert where[0, 0] == 20
        assert abs(where[0, 1] - int(scripted.point[0])) <= 1, (time_s, keyframe_s)
    assert len(scripted.priors) == sum(index % 4 != 0 for index in range(len(times)))


def _reference_radius(width: float, height: float) -> int:
    """FairMOT's Gaussian radius of a box in cells, at overlap 0.7."""
    total, area = np.ceil(width) + np.ceil(height), np.ceil(width) * np.ceil(height)
    b, c = -2 * 0.7 * total, -0.3 * area
    return max(1, int((b + np.sqrt(b * b - 16 * 0.7 * c)) / 2))


@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
@settings(max_examples=12, deadline=None)
def test_every_prior_is_the_specifications_for_crowds_that_cross_and_leave(seed: int, people: int) -> None:
    rng = np.random.default_rng(seed)
    starts, speeds = rng.uniform((5, 5), (75, 43), (people, 2)), rng.uniform(-25, 25, (people, 2))  # cells, cells/s
    sides = rng.uniform((3, 6), (9, 20), (people, 2))  # cells
    scripted = Crowd(starts, speeds, sides)
    pipeline = TrackingPipeline(scripted.backend, PipelineSettings(LaneSettings(k=4)))
    pipeline.add_lane("a")
    for index in range(16):
        time_s = index / 20
        scripted.time_s = time_s
        if index % 4 == 0:
            scripted.heatmap[:] = rng.random(scripted.heatmap.shape)
        (tracked,) = pipeline.collect(pipeline.submit({"a": _frame(index, (1280, 768), time_s)}))
        if tracked.kind == "teacher":
            keyframe_s, heatmap = time_s, scripted.heatmap.copy()
            centres = scripted.points().astype(np.float64)
            velocities = np.zeros((people, 2))
            seen = tracked.tracks.detection >= 0
            velocities[tracked.tracks.detection[seen]] = tracked.tracks.velocities[seen] / 16  # 4 input px, ratio 1/4
            velocities = np.clip(velocities, -30 * sides, 30 * sides)
            continue
        radii = np.array([_reference_radius(*side) for side in sides], np.int32)
        expected = reference_prior(heatmap, centres, radii, velocities, time_s - keyframe_s)
        assert np.array_equal(scripted.priors[-1].astype(np.float64), expected), index


def test_after_a_keyframe_where_everybody_is_new_the_prior_is_its_heatmap_bit_for_bit() -> None:
    scripted = Scripted()
    scripted.heatmap[:] = np.random.default_rng(0).random((48, 80))
    pipeline = TrackingPipeline(scripted.backend)
    pipeline.add_lane("a")
    _run(pipeline, ({"a": _frame(i)} for i in range(6)))
    assert len(scripted.priors) == 5
    for prior in scripted.priors:
        assert prior.tobytes() == scripted.heatmap.tobytes()


def test_scores_must_exceed_the_threshold_strictly() -> None:
    scripted = Scripted()
    chosen = PipelineSettings(LaneSettings(threshold=0.5))
    for scores, expected in (([0.5], 0), ([np.nextafter(np.float32(0.5), np.float32(1))], 1), ([0.0], 0)):
        pipeline = TrackingPipeline(scripted.backend, chosen)
        pipeline.add_lane("a")
        scripted.scores = scores
        (tracked,) = pipeline.collect(pipeline.submit({"a": _frame(0)}))
        assert len(tracked.tracks) == expected


def test_a_weak_score_keeps_a_track_between_keyframes_but_not_on_one() -> None:
    scripted = Scripted()
    pipeline = TrackingPipeline(scripted.backend)
    pipeline.add_lane("a", LaneSettings(k=3))
    seen = []
    for i in range(5):
        scripted.scores = [0.9] if i == 0 else [0.3]
        (tracked,) = pipeline.collect(pipeline.submit({"a": _frame(i)}))
        seen.append((tracked.kind, len(tracked.tracks)))
    assert seen == [("teacher", 1), ("student", 1), ("student", 1), ("teacher", 0), ("student", 0)]


def test_what_is_weak_is_measured_by_the_lanes_own_threshold() -> None:
    for threshold, expected in ((0.5, 1), (0.7, 0)):
        scripted = Scripted()
        pipeline = TrackingPipeline(scripted.backend)
        pipeline.add_lane("a", LaneSettings(threshold=threshold))
        for i, score in enumerate((0.9, 0.3)):
            scripted.scores = [score]
            (tracked,) = pipeline.collect(pipeline.submit({"a": _frame(i)}))
        assert np.count_nonzero(tracked.tracks.detection >= 0) == expected


def test_boxes_come_back_in_source_pixels() -> None:
    scripted = Scripted()
    pipeline = TrackingPipeline(scripted.backend)
    pipeline.add_lane("a")
    (tracked,) = pipeline.collect(pipeline.submit({"a": _frame(0, (1280, 768))}))
    assert tracked.tracks.xyxy == pytest.approx(np.array([[112, 208, 224, 448]]))  # 4 source pixels an input pixel


def test_a_frame_of_another_size_is_letterboxed_anew_and_is_a_keyframe() -> None:
    scripted = Scripted()
    pipeline = TrackingPipeline(scripted.backend)
    pipeline.add_lane("a")
    sizes = [(640, 384)] * 3 + [(300, 384)] * 3 + [(640, 384)]
    ticks = _run(pipeline, ({"a": _frame(i, size)} for i, size in enumerate(sizes)))
    assert [tick[0].kind for tick in ticks] == ["teacher", "student", "student"] * 2 + ["teacher"]
    grey = [(image == 128).all(axis=(0, 1)).sum() for image in scripted.images]  # grey columns
    assert grey == [0, 0, 0, 170, 170, 170, 0]  # 300 x 384 becomes 150 x 192 of 320 x 192
    assert len(ticks[3][0].tracks) <= 1


# --- lanes


def test_lanes_get_the_same_results_together_as_alone(models: Path) -> None:
    scenes = {
        "a": SCENE,
        "b": Drawn(((500, 300), (100, 100)), ((-300, -50), (100, 20)), 640, 400),
        "c": Drawn(((200, 200),), ((60, 0),), 700, 384),
    }
    together = _pipeline(models, lanes=tuple(scenes))
    ticks = _run(together, ({name: scene.frame(i) for name, scene in scenes.items()} for i in range(20)))
    kinds = {name: [tick[row].kind for tick in ticks] for row, name in enumerate(scenes)}
    for row, (name, scene) in enumerate(scenes.items()):
        alone = _pipeline(models, lanes=())
        alone.add_lane(name)
        # Alone, a lane has another phase: prescribe the one that it had in company.
        alone._schedules = dict.fromkeys(alone._schedules, _Prescribed(kinds[name]))
        for i, tick in enumerate(_run(alone, ({name: scene.frame(i)} for i in range(20)))):
            ours, theirs = tick[0], ticks[i][row]
            assert (ours.lane_id, ours.kind) == (theirs.lane_id, theirs.kind)
            for field in ("ids", "xyxy", "scores", "velocities", "detection"):
                assert np.array_equal(getattr(ours.tracks, field), getattr(theirs.tracks, field)), (name, i, field)
    assert any(len(tick[0].tracks) for tick in ticks)


class _Prescribed:
    """Frames as listed."""

    def __init__(self, kinds: list[Kind]) -> None:
        self.kinds = iter(kinds)

    def choose(self, lanes: Sequence[LaneState]) -> dict[str, Wish]:
        return {lane.lane_id: Wish(next(self.kinds)) for lane in lanes}

    def forget(self, lane_id: str) -> None: ...


def test_keyframes_of_lanes_are_staggered(models: Path) -> None:
    lanes = tuple("abcdef")
    ticks = _run(_pipeline(models, lanes=lanes), (dict.fromkeys(lanes, _frame(i)) for i in range(19)))
    assert all(tracked.kind == "teacher" for tracked in ticks[0])
    assert [sum(tracked.kind == "teacher" for tracked in tick) for tick in ticks[1:]] == [1] * 18
    assert [tracked.lane_id for tracked in ticks[5]] == list(lanes)


def test_a_lane_may_skip_ticks_and_nobody_notices(models: Path) -> None:
    pipeline = _pipeline(models, lanes=("a", "b"))
    ticks = [{"b": SCENE.frame(i)} | ({"a": SCENE.frame(i)} if i % 3 == 0 else {}) for i in range(19)]
    results = _run(pipeline, ticks)
    assert [list(tick) for tick in ticks] == [[tracked.lane_id for tracked in result] for result in results]
    a_kinds = [tracked.kind for result in results for tracked in result if tracked.lane_id == "a"]
    assert a_kinds[0] == "teacher"
    assert len(a_kinds) == 7
    assert len(results[-1][0].tracks) == 3


def test_a_lane_that_is_removed_and_added_again_starts_afresh(models: Path) -> None:
    pipeline = _pipeline(models)
    first = _run(pipeline, ({"a": SCENE.frame(i)} for i in range(9)))
    pipeline.remove_lane("a")
    with pytest.raises(PipelineError, match="no lane 'a'"):
        pipeline.submit({"a": SCENE.frame(9)})
    pipeline.add_lane("a")
    second = _run(pipeline, ({"a": SCENE.frame(i)} for i in range(9)))
    for (before,), (after,) in zip(first, second, strict=True):
        assert before.kind == after.kind
        assert np.array_equal(before.tracks.ids, after.tracks.ids)
        assert np.array_equal(before.tracks.xyxy, after.tracks.xyxy)


def test_each_lane_may_have_a_period_of_its_own(models: Path) -> None:
    pipeline = _pipeline(models, lanes=())
    pipeline.add_lane("a", LaneSettings(k=2))
    ticks = _run(pipeline, ({"a": _frame(i)} for i in range(4)))
    pipeline.change_lane("a", LaneSettings(k=1))
    ticks += _run(pipeline, ({"a": _frame(i)} for i in range(4, 6)))
    assert [tick[0].kind for tick in ticks] == ["teacher", "student", "teacher", "student", "teacher", "teacher"]
    assert [tick[0].settings.k for tick in ticks] == [2, 2, 2, 2, 1, 1]


def test_lanes_of_all_modes_run_side_by_side_as_they_do_alone(models: Path) -> None:
    together = _pipeline(models, lanes=())
    for mode in MODES:
        together.add_lane(mode, LaneSettings(mode=mode))
    ticks = _run(together, (dict.fromkeys(MODES, SCENE.frame(i)) for i in range(20)))
    for row, mode in enumerate(MODES):
        alone = _pipeline(models, mode)
        kinds = [tick[row].kind for tick in ticks]
        alone._schedules = dict.fromkeys(alone._schedules, _Prescribed(kinds))
        for i, (tracked,) in enumerate(_run(alone, ({"a": SCENE.frame(i)} for i in range(20)))):
            assert (tracked.settings.mode, ticks[i][row].settings.mode) == (mode, mode)
            assert np.array_equal(tracked.tracks.ids, ticks[i][row].tracks.ids), (mode, i)
            assert np.array_equal(tracked.tracks.xyxy, ticks[i][row].tracks.xyxy), (mode, i)
        assert {"teacher": {"teacher"}, "student": {"student"}}.get(mode, {"teacher", "student"}) == {*kinds}


def test_a_changed_mode_holds_from_the_next_frame_which_is_a_keyframe_and_identities_stay(models: Path) -> None:
    pipeline = _pipeline(models, lanes=())
    pipeline.add_lane("a", LaneSettings(k=3))
    modes: list[Mode] = ["atttrack"] * 8 + ["student"] * 3 + ["no-update"] * 5 + ["teacher"] * 2 + ["naive"] * 4
    seen = []
    for i, mode in enumerate(modes):
        pipeline.change_lane("a", LaneSettings(3, mode))
        (tracked,) = pipeline.collect(pipeline.submit({"a": SCENE.frame(i)}))
        seen.append((tracked.settings.mode, tracked.kind[0], tracked.since_teacher))
    assert [mode for mode, _, _ in seen] == modes
    assert "".join(kind for _, kind, _ in seen) == "tsstssts" + "sss" + "tssts" + "tt" + "tsst"
    assert [since for _, _, since in seen] == [0, 1, 2, 0, 1, 2, 0, 1, -1, -1, -1, 0, 1, 2, 0, 1, 0, 0, 0, 1, 2, 0]
    assert len(tracked.tracks) == 3
    assert max(tracked.tracks.ids) <= 3, "the tracker is the same one in every mode"


def test_each_lane_may_have_a_threshold_of_its_own() -> None:
    scripted = Scripted()
    scripted.scores = [0.45]
    pipeline = TrackingPipeline(scripted.backend)
    for lane_id, threshold in (("default", 0.4), ("strict", 0.6), ("open", 0.0)):
        pipeline.add_lane(lane_id, LaneSettings(k=1, threshold=threshold))
    tick = dict.fromkeys(pipeline.lane_ids, _frame(0))
    assert [len(tracked.tracks) for tracked in pipeline.collect(pipeline.submit(tick))] == [1, 0, 1]
    pipeline.change_lane("open", LaneSettings(k=1, threshold=0.95))
    tick = dict.fromkeys(pipeline.lane_ids, _frame(1))
    assert [len(tracked.tracks) for tracked in pipeline.collect(pipeline.submit(tick))] == [1, 0, 0]
    scripted.scores = [0.3]  # below the settings' threshold, which another lane has lowered for itself
    pipeline.change_lane("strict", LaneSettings(k=1, threshold=0.2))
    tick = dict.fromkeys(pipeline.lane_ids, _frame(2))
    pipeline.collect(pipeline.submit(tick))
    (_, strict, _) = pipeline.collect(pipeline.submit(dict.fromkeys(pipeline.lane_ids, _frame(3))))
    assert len(strict.tracks) == 1


def test_a_clock_that_jumps_back_does_not_stop_the_lane() -> None:
    pipeline = TrackingPipeline(Scripted().backend)
    pipeline.add_lane("a")
    for index, time_s in enumerate((5.0, 5.1, 0.0, 0.1)):
        (tracked,) = pipeline.collect(pipeline.submit({"a": _frame(index, time_s=time_s)}))
    assert tracked.tracks.ids.tolist() == [1]


# --- misuse


def test_misuse_is_refused_with_the_remedy(models: Path) -> None:
    pipeline = _pipeline(models)
    in_flight = pipeline.submit({"a": _frame(0)})
    with pytest.raises(PipelineError, match="cannot submit while a tick is in flight"):
        pipeline.submit({"a": _frame(1)})
    with pytest.raises(PipelineError, match="cannot remove a lane while"):
        pipeline.remove_lane("a")
    pipeline.collect(in_flight)
    with pytest.raises(PipelineError, match="not in flight"):
        pipeline.collect(in_flight)
    with pytest.raises(PipelineError, match="there is a lane 'a' already"):
        pipeline.add_lane("a")


def test_no_more_lanes_than_buffers(models: Path) -> None:
    backend = open_backend(models, SIZE, pair="tiny")
    pipeline = TrackingPipeline(backend, PipelineSettings(max_lanes=1))
    pipeline.add_lane("a")
    with pytest.raises(PipelineError, match="all 1 lanes are taken"):
        pipeline.add_lane("b")


def test_a_mode_without_its_networks_is_refused() -> None:
    pipeline = TrackingPipeline(Scripted().backend)
    assert pipeline.modes == ("teacher", "no-update", "atttrack")
    with pytest.raises(
        PipelineError, match="mode 'naive' wants the networks teacher, plain; this backend has teacher,"
    ):
        pipeline.add_lane("a", LaneSettings(mode="naive"))
    with pytest.raises(PipelineError, match="enough for teacher, no-update, atttrack"):
        TrackingPipeline(Scripted().backend, PipelineSettings(LaneSettings(mode="student")))
    with pytest.raises(PipelineError, match="this backend has none, which is enough for no mode"):
        TrackingPipeline(Backend(HostDevice(), HostOps()))
    pipeline.add_lane("a")
    with pytest.raises(PipelineError, match="mode 'student' wants"):
        pipeline.change_lane("a", LaneSettings(mode="student"))


# --- against the truth of a drawn scene


def _found(pipeline: TrackingPipeline, first: int = 0, end: int = 38) -> tuple[float, set[tuple[int, int]]]:
    """Share of the walkers that are tracked (IoU over 0.5) from frame `first` on, and which id had which walker."""
    hits, owners = 0, set()
    for i in range(end):
        (tracked,) = pipeline.collect(pipeline.submit({"a": SCENE.frame(i)}))
        truth = SCENE.xyxy(i / 30)
        overlap = iou_matrix(tracked.tracks.xyxy, truth) > 0.5
        hits += int(overlap.any(axis=0).sum()) if i >= first else 0
        owners |= {(int(tracked.tracks.ids[row]), int(walker)) for row, walker in np.argwhere(overlap)}
    return hits / (3 * (end - first)), owners


@pytest.mark.parametrize("mode", ["teacher", "student", "naive"])
def test_walkers_are_followed_under_one_id_each(models: Path, mode: Mode) -> None:
    found, owners = _found(_pipeline(models, mode))
    assert found == 1
    assert len(owners) == 3
    assert len({track for track, _ in owners}) == len({walker for _, walker in owners}) == 3


def test_the_moved_prior_is_what_lets_a_weak_student_follow_fast_walkers(models: Path) -> None:
    """The tiny student detects only where its prior is right, so the recall tells how good the priors were."""
    # without weak detections, which would keep them even so
    moved, owners = _found(_pipeline(models, "atttrack", weak_share=1), first=6)
    unmoved, _ = _found(_pipeline(models, "no-update", weak_share=1), first=6)
    assert moved == 1, "from the second keyframe on, when velocities are known"
    assert unmoved < 0.85
    assert len(owners) == 3


@pytest.mark.parametrize(("mode", "first_seen"), [("teacher", 8), ("student", 8), ("naive", 13), ("no-update", 13)])
def test_who_comes_between_keyframes_is_taken_in_at_the_next(models: Path, mode: Mode, first_seen: int) -> None:
    """Nobody is there before frame 7; K is 6, and a newcomer is told of when seen for the second time."""
    nobody = replace(SCENE.frame(0), pixels=np.zeros_like(SCENE.frame(0).image))
    frames = [replace(nobody, index=i, time_s=i / 30) if i < 7 else SCENE.frame(i) for i in range(16)]
    ticks = _run(_pipeline(models, mode), ({"a": frame} for frame in frames))
    assert [bool(len(tracked.tracks)) for (tracked,) in ticks].index(True) == first_seen


def test_the_student_alone_is_never_after_a_teacher(models: Path) -> None:
    ticks = _run(_pipeline(models, "student"), ({"a": SCENE.frame(i)} for i in range(3)))
    assert [(tick[0].kind, tick[0].since_teacher) for tick in ticks] == [("student", -1)] * 3


def test_stage_times_count_every_frame_once(models: Path) -> None:
    pipeline = _pipeline(models)
    _run(pipeline, ({"a": SCENE.frame(i)} for i in range(12)))
    counted = {name: watch.frames for name, watch in pipeline.times.stages().items()}
    assert counted == {
        "letterbox": 12,
        "extrapolate": 10,
        "teacher": 2,
        "student": 10,
        "wait": 12,
        "association": 12,
        "keep": 2,
    }
    assert all(watch.seconds > 0 for watch in pipeline.times.stages().values())
