"""Lanes that are tracked together are tracked as each would be alone."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.tracking.blocks import Blocks, Rows
from edge.tracking.detections import Detections, Tracks
from edge.tracking.tracker import Look, Tracker, TrackerSettings, update_all
from testbed.crowd import CrowdFilm as Film


def assert_same(together: Tracks, alone: Tracks) -> None:
    for name in ("ids", "states", "detection", "remembered", "scores", "classes"):
        np.testing.assert_array_equal(getattr(together, name), getattr(alone, name), name)
    for name in ("xyxy", "velocities", "ages_s", "unseen_s"):
        np.testing.assert_allclose(getattr(together, name), getattr(alone, name), atol=1e-3, err_msg=name)
    np.testing.assert_array_equal(together.gone.ids, alone.gone.ids)
    assert together.gone.whys == alone.gone.whys and together.clock_s == alone.clock_s


def test_nobody_is_tracked_of_no_lane_and_in_empty_ones() -> None:
    assert update_all([]) == []
    trackers = [Tracker() for _ in range(3)]
    for _ in range(2):
        assert [len(one) for one in update_all([Look(t, Detections.empty(), 0.1, 0.4, False) for t in trackers])] == [
            0
        ] * 3


SEVERAL = TrackerSettings(classes=("person", "car", "dog"))


@pytest.mark.parametrize(
    "settings", [TrackerSettings(), TrackerSettings(keyframes_decide=False, iou_confirm=0), SEVERAL]
)
def test_lanes_together_are_what_each_is_alone(settings: TrackerSettings) -> None:
    """Crowds of all sizes, of none, too; times, thresholds and keyframes of their own; interruptions and long gaps."""
    rng = np.random.default_rng(3)
    films = [Film(int(people), seed) for seed, people in enumerate((0, 1, 3, 7, 12, 20, 35, 50))]
    alone, together = ([Tracker(settings) for _ in films] for _ in range(2))
    people = 0
    for _ in range(50):
        looks = []
        for lane, film in enumerate(films):
            seen, names = film.step()
            chance = rng.uniform()
            if settings.several and chance > 0.1:  # else one class, which nobody told
                known = np.where(rng.uniform() < 0.8, names % 3, -1)
                seen = replace(seen, classes=known.astype(np.int32))
            if chance < 0.02:
                for tracker in (alone[lane], together[lane]):
                    tracker.interrupt(2.0)
            seen = Detections.empty() if chance > 0.95 else seen
            dt_s = 70.0 if 0.9 < chance < 0.91 else float(rng.uniform(0, 0.2))
            looks.append((seen, dt_s, float(rng.choice((0.3, 0.4, 0.5))), bool(rng.uniform() < 0.5)))
        expected = [tracker.update(*look) for tracker, look in zip(alone, looks, strict=True)]
        found = update_all([Look(tracker, *look) for tracker, look in zip(together, looks, strict=True)])
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
        people += sum(map(len, found))
    assert people > 2000


def test_what_one_lane_cannot_take_changes_none() -> None:
    film, trackers = Film(5, 0), [Tracker(), Tracker()]
    seen = film.step()[0]
    for _ in range(2):
        update_all([Look(tracker, seen, 0.1, 0.4, False) for tracker in trackers])
    before = [tracker.predict_boxes(0.0) for tracker in trackers]
    with pytest.raises(ValueError, match="dt_s must be a finite number"):
        update_all([Look(trackers[0], seen, 0.1, 0.4, False), Look(trackers[1], seen, -1.0, 0.4, False)])
    for tracker, tracks in zip(trackers, before, strict=True):
        assert_same(tracker.predict_boxes(0.0), tracks)
    with pytest.raises(ValueError, match="must have the same settings"):
        update_all(
            [Look(trackers[0], seen, 0.1, 0.4, False), Look(Tracker(TrackerSettings(gate=1)), seen, 0, 0.4, False)]
        )


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=6))
def test_rows_meet_the_columns_of_their_own_lane_and_no_others(counts: list[tuple[int, int]]) -> None:
    rows, columns = Rows([n for n, _ in counts]), Rows([m for _, m in counts])
    blocks = Blocks(np.arange(len(rows)), rows.lane, np.arange(len(columns)), columns.lane, len(counts))
    pairs = {(r, c) for r in range(len(rows)) for c in range(len(columns)) if rows.lane[r] == columns.lane[c]}
    assert bool(blocks) == bool(pairs)
    if not blocks:
        return
    names = blocks.spread_rows(np.arange(len(rows))[blocks.rows, None].astype(float))
    others = blocks.spread_columns(np.arange(len(columns))[blocks.columns, None].astype(float))
    cost = blocks.without_padding(1000 * names + others.swapaxes(1, 2))
    found = np.isfinite(cost).nonzero()
    row, column = blocks.named(*found)
    assert set(zip(row.tolist(), column.tolist(), strict=True)) == pairs
    np.testing.assert_array_equal(cost[found], 1000 * row + column)
