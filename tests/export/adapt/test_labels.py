"""What is made of a teacher's answers: whom to learn, whom to ignore."""

from pathlib import Path

import numpy as np

from edge.ops.letterbox import Letterbox
from edge.tracking.detections import Tracks
from export.adapt.labels import StretchLabels, TeacherLook, judge_stretch

SIZE = (160, 90)


def look(time_s: float, rows: list[tuple[float, float, int]]) -> TeacherLook:
    """Rows of x, score and identity (0: no track); best first. Boxes are 16 x 40 pixels."""
    xyxy = np.array([[x, 20, x + 16, 60] for x, _, _ in rows], np.float32).reshape(-1, 4)
    ids = [identity for _, _, identity in rows if identity]
    places = [place for place, row in enumerate(rows) if row[2]]
    empty = Tracks.empty()
    tracks = Tracks(
        np.array(ids, np.int64), xyxy[places], *(np.zeros(len(ids), np.float32) for _ in range(1)),
        np.ones(len(ids), np.uint8), np.zeros((len(ids), 2), np.float32), np.zeros(len(ids), np.float32),
        np.zeros(len(ids), np.float32), np.array(places, np.int32), empty.gone,
    )  # fmt: skip
    return TeacherLook(
        time_s, np.zeros((24, 40), np.uint8), Letterbox(*SIZE, 160, 96), (xyxy[:, :2] + xyxy[:, 2:]) / 2, xyxy,
        np.array([score for _, score, _ in rows], np.float32), np.ones((len(rows), 3), np.float16), tracks,
    )  # fmt: skip


def judged(rows_of: list[list[tuple[float, float, int]]], rate: float = 25.0) -> StretchLabels:
    looks = [look(number / rate, rows) for number, rows in enumerate(rows_of)]
    return judge_stretch(looks, SIZE, SIZE)


def test_where_nobody_is_there_is_nobody_to_learn() -> None:
    labels = judged([[], [], []])
    assert labels.frames == 3 and not len(labels.persons) and not len(labels.ignored)
    assert [len(one.ids) for one in labels.teacher_tracks()] == [0, 0, 0]


def test_who_is_seen_for_long_is_learnt_as_surely_as_their_track_is() -> None:
    labels = judged([[(number, 0.7 - 0.1 * (number == 3), 4)] for number in range(6)])
    assert labels.persons.tolist() == [[number, 4] for number in range(1, 7)]
    assert labels.scores.min() > 0.95  # the weaker frame is lifted by the rest of the track
    np.testing.assert_array_equal(labels.xyxy[:, 0], np.arange(6))
    assert labels.looks.shape == (6, 3)


def test_a_short_track_and_a_doubtful_box_are_ignored_and_a_weak_one_is_background() -> None:
    steady = (60.0, 0.9, 1)
    rows = [
        [steady, (10.0, 0.8, 2)] if number < 3 else [steady, (100.0, 0.3, 0), (120.0, 0.1, 0)] for number in range(6)
    ]
    labels = judged(rows)
    assert set(labels.persons[:, 1].tolist()) == {1}
    assert labels.ignored.tolist() == [1, 2, 3, 4, 5, 6]
    assert labels.ignore[:, 0].tolist() == [10, 10, 10, 100, 100, 100]


def test_where_somebody_was_hidden_for_a_moment_is_ignored_on_the_line_between() -> None:
    rows = [[(4.0 * number, 0.9, 1)] if number not in (4, 5) else [] for number in range(10)]
    labels = judged(rows)
    assert labels.ignored.tolist() == [5, 6]
    np.testing.assert_allclose(labels.ignore[:, 0], [16, 20], atol=1e-5)
    assert not len(judged(rows, rate=2.0).ignored)  # hidden for more than a second: who knows where they were


def test_labels_come_back_from_disk(tmp_path: Path) -> None:
    labels = judged([[(number, 0.9, 4)] for number in range(6)])
    labels.save(tmp_path / "stretch.npz")
    back = StretchLabels.load(tmp_path / "stretch.npz")
    for name in StretchLabels.__slots__:
        np.testing.assert_array_equal(getattr(back, name), getattr(labels, name))
