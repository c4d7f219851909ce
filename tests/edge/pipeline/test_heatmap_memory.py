import numpy as np
import pytest

from edge.ops.framing import Framing
from edge.ops.host import HostOps, extrapolate
from edge.ops.letterbox import Letterbox
from edge.ops.objects import Objects
from edge.pipeline.heatmap_memory import HeatmapMemory, follow_tracks, stand_still
from edge.tracking.detections import Detections, Tracks
from engines.host import HostDevice

CELLS = (48, 80)
LETTERBOX = Letterbox(640, 384, 320, 192)  # ratio 1/2: 8 source pixels are one cell
STREAM = HostDevice().cuda_stream()


def _detections(points: list[tuple[float, float]]) -> Detections:
    """Boxes of 56 x 120 source pixels, 7 x 15 cells, around points in cells."""
    centre = np.array(points, np.float32).reshape(-1, 2)
    half = np.array([28, 60], np.float32)
    return Detections(
        xyxy=np.concatenate((centre * 8 - half, centre * 8 + half), axis=1),
        scores=np.linspace(0.9, 0.5, len(centre), dtype=np.float32),
        embeddings=np.tile(np.array([[1, 0, 0]], np.float32), (len(centre), 1)),
        points=centre,
    )


def _tracks(detection: list[int], velocities: list[tuple[float, float]]) -> Tracks:
    n = len(detection)
    return Tracks(
        ids=np.arange(1, n + 1),
        xyxy=np.zeros((n, 4), np.float32),
        scores=np.ones(n, np.float32),
        states=np.ones(n, np.uint8),
        velocities=np.array(velocities, np.float32).reshape(-1, 2),
        ages_s=np.ones(n, np.float32),
        unseen_s=np.zeros(n, np.float32),
        detection=np.array(detection, np.int32),
    )


def test_a_frame_without_people_has_no_objects() -> None:
    assert len(follow_tracks(Detections.empty(3), Tracks.empty(), LETTERBOX)) == 0


def test_objects_move_as_their_tracks_do_and_others_stay() -> None:
    detections = _detections([(10, 20), (30, 20), (50, 20)])
    tracks = _tracks([2, -1, 0], [(80, -16), (999, 999), (8, 0)])
    objects = follow_tracks(detections, tracks, LETTERBOX)
    assert objects.velocities == pytest.approx(np.array([[1, 0], [0, 0], [10, -2]]))  # cells/s = px/s / 8
    assert objects.centres == pytest.approx(detections.points)
    assert objects.radii.tolist() == [2, 2, 2]  # gaussian radius of 15 x 7 cells: 2.6


def _memory() -> HeatmapMemory:
    return HeatmapMemory(HostDevice(), HostOps(), CELLS)


def _keep(memory: HeatmapMemory, heatmap: np.ndarray, objects: Objects, time_s: float) -> None:
    memory.keep(memory.put_aside(heatmap, STREAM), objects, time_s, STREAM)


def _heatmap() -> np.ndarray:
    return np.random.default_rng(5).random(CELLS, np.float32)


def _prior(memory: HeatmapMemory, time_s: float) -> np.ndarray:
    moved, out = memory.prior(time_s, Framing(LETTERBOX, LETTERBOX)), np.full(CELLS, np.nan, np.float32)
    extrapolate(moved.heatmap, moved.owners, moved.shifts, out)
    return out


def test_at_the_keyframes_own_time_the_prior_is_its_heatmap_bit_for_bit() -> None:
    memory, heatmap = _memory(), _heatmap()
    _keep(memory, heatmap, follow_tracks(_detections([(10, 20)]), _tracks([0], [(80, 0)]), LETTERBOX), 7.0)
    assert _prior(memory, 7.0).tobytes() == heatmap.tobytes()
    assert _prior(memory, 6.0).tobytes() == heatmap.tobytes(), "a clock that jumps back moves nobody"


def test_the_blob_moves_with_time_not_with_frames() -> None:
    memory, heatmap = _memory(), np.zeros(CELLS, np.float32)
    heatmap[20, 10] = 0.75
    _keep(memory, heatmap, follow_tracks(_detections([(10.5, 20.5)]), _tracks([0], [(80, -40)]), LETTERBOX), 7.0)
    for elapsed_s in (0.1, 0.2, 0.5, 1.0, 3.0):
        out = _prior(memory, 7.0 + elapsed_s)
        expected = np.zeros(CELLS, np.float32)
        x, y = int(np.floor(10.5 + 10 * elapsed_s)), int(np.floor(20.5 - 5 * elapsed_s))
        expected[y, x] = 0.75
        assert np.array_equal(out, expected), elapsed_s


def test_the_teachers_buffer_may_change_after_it_was_kept() -> None:
    memory, heatmap = _memory(), _heatmap()
    kept = heatmap.copy()
    _keep(memory, heatmap, Objects.none(), 0.0)
    heatmap.fill(0)
    assert np.array_equal(_prior(memory, 1.0), kept)


def test_a_new_keyframe_replaces_the_old_one_altogether() -> None:
    memory = _memory()
    _keep(memory, _heatmap(), follow_tracks(_detections([(10, 20)]), _tracks([0], [(80, 0)]), LETTERBOX), 0.0)
    second = _heatmap()[::-1].copy()
    _keep(memory, second, Objects.none(), 1.0)
    assert np.array_equal(_prior(memory, 9.0), second)


def test_without_updating_the_prior_is_the_heatmap_at_any_time() -> None:
    memory, heatmap = _memory(), _heatmap()
    objects = stand_still(_detections([(10, 20)]), _tracks([0], [(80, 0)]), LETTERBOX)
    _keep(memory, heatmap, objects, 0.0)
    assert _prior(memory, 5.0).tobytes() == heatmap.tobytes()
