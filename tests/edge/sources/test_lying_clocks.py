"""What a camera's lying clock costs the tracker: hardly anything. Oracle: the same walkers by the true clock."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from edge.tracking.detections import Detections
from edge.tracking.tracker import Tracker
from testbed.crowd import CrowdFilm
from tests.edge.sources.test_clock import LIES, Lie, places

RATE, SECONDS, WARM_UP_S = 25, 36, 3.0
Seen = tuple[Detections, np.ndarray]


@pytest.fixture(scope="module")
def walk() -> list[Seen]:
    crowd = CrowdFilm(14, seed=5, frame_rate=RATE, size=(1280, 720))
    return [crowd.step() for _ in range(RATE * SECONDS)]


def errors(walk: Sequence[Seen], times_s: np.ndarray) -> tuple[int, float, float]:
    """Ids given, IDF1, and the 95th percentile of speeds (pixels per second) behind the warm-up."""
    tracker, before_s = Tracker(), times_s[0]
    pairs: Counter[tuple[int, int]] = Counter()
    people, tracked, ids, speeds = 0, 0, set(), []
    for number, ((detections, names), time_s) in enumerate(zip(walk, times_s, strict=True)):
        tracks = tracker.update(detections, time_s - before_s)
        before_s = time_s
        if number < WARM_UP_S * RATE:
            continue
        people += int((names >= 0).sum())
        tracked += len(tracks)
        ids |= set(tracks.ids.tolist())
        speeds += np.hypot(*tracks.velocities.T).tolist()
        rows = tracks.detection
        pairs.update(zip(tracks.ids[rows >= 0].tolist(), names[rows[rows >= 0]].tolist(), strict=True))
    found, known = sorted({one for one, _ in pairs}), sorted({name for _, name in pairs if name >= 0})
    table = np.array([[pairs[one, name] for name in known] for one in found])
    right = table[linear_sum_assignment(-table)].sum()
    return len(ids), 2 * right / (people + tracked), float(np.percentile(speeds, 95))


@pytest.fixture(scope="module")
def true(walk: list[Seen]) -> tuple[int, float, float]:
    return errors(walk, np.arange(len(walk)) / RATE)


def test_the_true_clock_makes_a_good_tracker(true: tuple[int, float, float]) -> None:
    assert true[1] > 0.9


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_ids_and_identity_are_within_three_percent_of_the_true_clocks(
    walk: list[Seen], true: tuple[int, float, float], lie: Lie
) -> None:
    _, times_s = places(lie, RATE, SECONDS)
    ids, idf1, speed = errors(walk, times_s)
    assert abs(ids - true[0]) <= max(1, 0.03 * true[0])
    assert idf1 == pytest.approx(true[1], rel=0.03)
    assert speed == pytest.approx(true[2], rel=0.1)
