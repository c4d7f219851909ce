import tracemalloc

import cv2
import numpy as np
import pytest

from edge.sources.base import SourceError
from edge.sources.synthetic import SyntheticSource

SMALL = {"width": 640, "height": 360, "seed": 4}


def scene(people: int = 12, **options: int) -> SyntheticSource:
    return SyntheticSource(people=people, **(SMALL | options))


def test_empty_square_has_no_truth_and_never_changes() -> None:
    source = scene(people=0)
    truth = source.truth(5)
    assert truth.ids.shape == (0,) and truth.xyxy.shape == (0, 4) and truth.visibility.shape == (0,)
    np.testing.assert_array_equal(source.image(0), source.image(500))


def test_frames_are_counted_and_timed() -> None:
    source = scene(frames=5)
    frames = list(source)
    assert [frame.index for frame in frames] == list(range(5))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(5) / 30)
    assert frames[0].image.shape == (360, 640, 3) and frames[0].image.flags.c_contiguous
    assert source.state.phase == "ended"


def test_scene_is_the_same_in_any_order_and_differs_between_seeds() -> None:
    forward, backward = scene(), scene()
    indices = [0, 300, 301, 4000]
    pictures = {i: forward.image(i) for i in indices}
    for i in reversed(indices):
        np.testing.assert_array_equal(backward.image(i), pictures[i])
        np.testing.assert_array_equal(backward.truth(i).xyxy, forward.truth(i).xyxy)
    assert (scene(seed=5).image(300) != pictures[300]).any()


def test_truth_boxes_hold_exactly_what_was_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: a picture minus the empty square. What differs lies in a box, and fills it."""
    monkeypatch.setattr("edge.sources.scene.figure.DARKNESS", 0.0)
    source, empty = scene(), scene(people=0).image(0).astype(int)
    errors = []
    for index in (100, 400, 900):
        drawn = np.abs(source.image(index).astype(int) - empty).max(axis=2) > 24
        truth = source.truth(index)
        boxed = np.zeros_like(drawn)
        for left, top, right, bottom in np.round(truth.xyxy).astype(int):
            boxed[max(top - 1, 0) : bottom + 2, max(left - 8, 0) : right + 9] = True
        assert (drawn & ~boxed).sum() < 0.03 * drawn.sum()
        for left, top, right, bottom in truth.xyxy[truth.visibility > 0.95]:
            rows = np.flatnonzero(drawn[:, int(left) : int(right) + 1].any(axis=1))
            inside = rows[(rows > top - 6) & (rows < bottom + 6)]
            errors += [inside.min() - top, inside.max() + 1 - bottom]
    assert len(errors) > 20
    assert np.median(np.abs(errors)) < 1.5 and np.abs(errors).max() < 8  # a head may look like the wall behind it


def test_nearer_people_hide_those_behind_them() -> None:
    source = scene(people=30)
    hidden = 0
    for index in range(0, 900, 45):
        truth = source.truth(index)
        assert ((truth.visibility >= 0) & (truth.visibility <= 1)).all()
        nearest = int(np.argmax(truth.xyxy[:, 3]))
        inside = truth.xyxy[nearest]
        if inside[0] >= 0 and inside[2] <= 640 and inside[3] <= 360:
            assert truth.visibility[nearest] > 0.9
        hidden += int((truth.visibility < 0.5).sum())
    assert hidden > 10


def test_people_move_smoothly_and_keep_their_ids() -> None:
    source = scene()
    before = source.truth(200)
    for index in range(201, 260):
        now = source.truth(index)
        common, a, b = np.intersect1d(before.ids, now.ids, return_indices=True)
        assert len(common) >= len(before.ids) - 2
        assert np.abs(now.xyxy[b] - before.xyxy[a]).max(initial=0) < 8
        assert len(set(now.ids.tolist())) == len(now.ids)
        before = now


def test_square_stays_populated_without_end() -> None:
    source = scene(people=20)
    counts = [len(source.truth(index).ids) for index in range(0, 30 * 3600, 27000)]
    assert 8 <= min(counts) and max(counts) <= 20


def test_the_largest_scene_takes_twice_its_picture_and_little_more_memory() -> None:
    tracemalloc.start()
    try:
        picture = SyntheticSource(width=7680, height=4320, people=1, seed=2).image(0)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert picture.shape == (4320, 7680, 3)
    assert most < 2 * picture.nbytes + 100e6


def test_a_scene_larger_than_full_hd_shows_what_a_smaller_one_shows() -> None:
    large, small = (SyntheticSource(width=16 * n, height=9 * n, people=0, seed=4).image(0) for n in (240, 120))
    shrunk = cv2.resize(large, small.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(shrunk.astype(int) - small).mean() < 3


@pytest.mark.parametrize(
    "query", ["people=-1", "width=10", "fps=0", "fps=x", "frames=-2", "colour=red", "people=", "people=1e3", "fps=nan"]
)
def test_bad_query_is_refused_by_name(query: str) -> None:
    with pytest.raises(SourceError, match=query.split("=")[0]) as caught:
        SyntheticSource.from_url(f"synthetic://?{query}")
    assert caught.value.code == "invalid_url"


def test_query_sets_the_scene() -> None:
    source = SyntheticSource.from_url("synthetic://?seed=3&people=4&fps=12.5&width=320&height=192&frames=7")
    assert (source.frame_rate, source.frame_count, source.image(0).shape) == (12.5, 7, (192, 320, 3))


def test_views_differ_in_how_large_and_how_fast_people_are() -> None:
    def heights(view: str) -> float:
        boxes = scene(view=view, people=30).truth(900).xyxy
        return float(np.median(boxes[:, 3] - boxes[:, 1])) / 360

    def speed(view: str) -> float:
        walks = scene(view=view, people=30)._crowd.walks(30.0)
        return float(np.median([np.hypot(*np.subtract(w.end_xz, w.start_xz)) / w.duration_s for w, _, _ in walks]))

    assert heights("near") > 1.5 * heights("square") > 2 * heights("far") > 0.2
    assert speed("fast") > 2 * speed("square")


@pytest.mark.parametrize(
    ("query", "said"), [("view=moon", "square, near, far, fast"), ("patient=2", "patient must be 0 or 1")]
)
def test_unknown_view_or_patience_is_refused(query: str, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        SyntheticSource.from_url(f"synthetic://?{query}")
