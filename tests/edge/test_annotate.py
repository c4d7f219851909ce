from dataclasses import replace

import numpy as np
import pytest

from edge.annotate import Annotator, colour_of
from edge.pipeline.pipeline import Kind, TrackedFrame
from edge.sources.base import Frame
from edge.tracking.detections import Tracks


def _tracked(
    boxes: list[tuple[float, float, float, float]], time_s: float = 0.0, kind: Kind = "teacher", size: int = 200
) -> TrackedFrame:
    n = len(boxes)
    tracks = Tracks(
        ids=np.arange(1, n + 1),
        xyxy=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.ones(n, np.float32),
        states=np.ones(n, np.uint8),
        velocities=np.zeros((n, 2), np.float32),
        ages_s=np.zeros(n, np.float32),
        unseen_s=np.zeros(n, np.float32),
        detection=np.arange(n, dtype=np.int32),
    )
    image = np.full((size, 2 * size, 3), 90, np.uint8)
    return TrackedFrame("a", Frame(image, 0, time_s, 0.0, "media"), tracks, kind, 0 if kind == "teacher" else 3)


def _draw(annotator: Annotator, tracked: TrackedFrame) -> np.ndarray:
    image = tracked.frame.image.copy()
    annotator.draw(image, tracked)
    return image


def test_without_people_only_the_badge_is_drawn() -> None:
    image = _draw(Annotator(), _tracked([]))
    assert (image[40:] == 90).all()
    assert (image[:20] != 90).any()


def test_a_box_is_drawn_in_its_ids_colour_where_it_is() -> None:
    image = _draw(Annotator(), _tracked([(100, 80, 150, 180)]))
    for y, x in ((130, 100), (130, 150), (180, 120)):
        assert image[y, x].tolist() == pytest.approx(colour_of(1), abs=25)  # anti-aliased
    assert (image[100:170, 110:140] == 90).all(), "nothing inside the box"


def test_the_badge_tells_the_kinds_of_frames_apart() -> None:
    pictures = [_draw(Annotator(), _tracked([], kind=kind)) for kind in ("teacher", "student", "predicted")]
    assert not np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[1], pictures[2])


def test_a_trail_shows_where_the_feet_were_and_fades_with_time() -> None:
    annotator = Annotator(trail_s=1.0)
    for step in range(10):
        left = 20 + 30 * step
        image = _draw(annotator, _tracked([(left, 80, left + 20, 150)], time_s=step / 10))
    assert (image[149:152, 100:280] != 90).any(axis=(0, 2)).all(), "an unbroken line along the feet"
    image = _draw(annotator, _tracked([], time_s=5.0))
    assert (image[40:] == 90).all(), "gone after its time"


def test_a_clock_that_jumps_back_starts_the_trails_anew() -> None:
    annotator = Annotator()
    _draw(annotator, _tracked([(20, 80, 40, 150)], time_s=100.0))
    image = _draw(annotator, _tracked([(320, 80, 340, 150)], time_s=0.0))
    assert (image[150, 60:300] == 90).all()


@pytest.mark.parametrize(
    "box", [(-50, -50, 30, 40), (380, 150, 500, 400), (-1e9, -1e9, 1e9, 1e9), (10, 10, 10, 10), (900, 900, 950, 990)]
)
def test_boxes_beyond_the_picture_do_no_harm(box: tuple[float, float, float, float]) -> None:
    _draw(Annotator(), _tracked([box, (100, 80, 150, 180)]))


def test_the_frames_own_picture_is_left_alone_when_a_copy_is_drawn_on() -> None:
    tracked = _tracked([(100, 80, 150, 180)])
    _draw(Annotator(), tracked)
    assert (tracked.frame.image == 90).all()


def test_neighbouring_ids_have_different_colours() -> None:
    assert len({colour_of(track_id) for track_id in range(14)}) == 14
    assert colour_of(3) == colour_of(17)


def test_a_leap_leaves_no_line_across_the_picture() -> None:
    annotator = Annotator(trail_s=5.0)
    _draw(annotator, _tracked([(20, 80, 40, 150)], time_s=0.0))
    image = _draw(annotator, _tracked([(320, 80, 340, 150)], time_s=0.5))
    assert (image[140:160, 60:300] == 90).all()


def test_the_label_tells_the_class_of_a_pair_that_sees_not_only_people() -> None:
    person = _tracked([(100, 80, 150, 180)])
    car = replace(person, classes=("car",))
    widths = [(_draw(Annotator(), one)[62:76, 122:145] != 90).any(axis=(0, 2)).sum() for one in (person, car)]
    assert widths[0] == 0 < widths[1]
