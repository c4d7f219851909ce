"""MOTChallenge text: what is written is read back, and a bad line is named."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.tracking.detections import Tracks, TrackState
from edge.tracking.mot_format import MotBoxes, MotFormatError, parse_mot, read_mot, result_lines


@st.composite
def tables(draw: st.DrawFn) -> MotBoxes:
    """Ground truth of up to 20 boxes; no id twice in a frame."""
    keys = draw(st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 10**9)), max_size=20, unique=True))
    count = len(keys)
    place, side = st.floats(-5000, 5000), st.floats(0.01, 5000)
    xywh = draw(st.lists(st.tuples(place, place, side, side), min_size=count, max_size=count))
    return MotBoxes(
        frames=np.array([frame for frame, _ in keys], np.int64),
        ids=np.array([track for _, track in keys], np.int64),
        xywh=np.array(xywh, np.float64).reshape(count, 4),
        flags=np.array(draw(st.lists(st.integers(0, 1), min_size=count, max_size=count)), np.float64),
        classes=np.array(draw(st.lists(st.integers(1, 12), min_size=count, max_size=count)), np.int64),
        visibility=np.array(draw(st.lists(st.floats(0, 1), min_size=count, max_size=count)), np.float64),
    )


@pytest.mark.parametrize("lines", [[], [""], ["\n", "  \n"]])
def test_no_lines_are_no_boxes(lines: list[str]) -> None:
    boxes = parse_mot(lines)
    assert len(boxes) == 0
    assert boxes.xyxy.shape == (0, 4)
    assert result_lines(boxes) == ""


def test_mot17_has_class_and_visibility() -> None:
    boxes = parse_mot(["3,7,912,484,97,109,0,7,0.25\n"])
    assert (boxes.frames, boxes.ids, boxes.flags, boxes.classes, boxes.visibility) == (3, 7, 0, 7, 0.25)
    assert boxes.xyxy.tolist() == [[911, 483, 1008, 592]], "the text's first pixel is 1, ours 0"


@pytest.mark.parametrize(
    "rest", ["", ",-1", ",-1,-1,-1", ", 4.5, -2.5, 0"], ids=["7 columns", "8 columns", "MOT15", "with world"]
)
def test_mot15_and_plain_files_are_all_pedestrians(rest: str) -> None:
    boxes = parse_mot(["1.0, 2, 10,20,30,40,1" + rest])
    assert boxes.classes.tolist() == [1]
    assert boxes.visibility.tolist() == [1]
    assert boxes.xywh.tolist() == [[10, 20, 30, 40]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,1,0,0,5,5,1\n\n2,1,0,0,5,5\n", "gt.txt:3: expected 7 to 10 columns"),
        ("1,1,0,0,5,5,1,1,1,1,1\n", "gt.txt:1: expected 7 to 10 columns .* got 11"),
        ("1,1,0,0,5,5,1\n1,2,0,0,5,5,1,1,1\n", "gt.txt:2: 9 columns, but 7 in the lines above"),
        ("1,1,0,zero,5,5,1\n", "gt.txt:1: 'zero' is not a number"),
        ("1,1,0,nan,5,5,1\n", "gt.txt:1: 'nan' is not a number"),
        ("1,1,0,inf,5,5,1\n", "gt.txt:1: 'inf' is not a number"),
        ("1,1,0,0,5,5,\n", "gt.txt:1: '' is not a number"),
        ("0,1,0,0,5,5,1\n", "gt.txt:1: frame must be a whole number from 1, got 0"),
        ("1.5,1,0,0,5,5,1\n", "gt.txt:1: frame must be a whole number from 1, got 1.5"),
        ("1,0,0,0,5,5,1\n", "gt.txt:1: id must be a whole number from 1, or -1 for none, got 0"),
        ("1,1,0,0,-5,5,1\n", "gt.txt:1: width and height must be positive, got -5 x 5"),
        ("4,1,0,0,5,5,1\n4,1,9,9,5,5,1\n", "gt.txt:2: a second box of id 1 in frame 4"),
        ("frame id x y\n", "gt.txt:1: 'frame id x y' is not a number"),
    ],
)
def test_a_bad_line_is_named_with_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(MotFormatError, match=message):
        parse_mot(text.splitlines(keepends=True), "gt.txt")


def test_detections_without_identity_may_share_a_frame() -> None:
    assert len(parse_mot(["1,-1,0,0,5,5,0.9", "1,-1,9,9,5,5,0.8"])) == 2


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gt.txt"
    path.write_bytes(b"\x00\xff\xfe\x81")
    with pytest.raises(MotFormatError, match="not text"):
        read_mot(path)


def two_tracks() -> Tracks:
    return Tracks(
        ids=np.array([4, 9]),
        xyxy=np.array([[0, 0, 10, 20], [99.5, 49, 109.5, 89]], np.float32),
        scores=np.array([0.5, 0.875], np.float32),
        states=np.full(2, TrackState.CONFIRMED, np.uint8),
        velocities=np.zeros((2, 2), np.float32),
        ages_s=np.zeros(2, np.float32),
        unseen_s=np.zeros(2, np.float32),
        detection=np.arange(2, dtype=np.int32),
    )


def test_tracks_are_written_counted_from_one() -> None:
    tracks = two_tracks()
    assert result_lines(MotBoxes.from_tracks(0, tracks)).splitlines() == [
        "1,4,1.000,1.000,10.000,20.000,0.5000,-1,-1,-1",
        "1,9,100.500,50.000,10.000,40.000,0.8750,-1,-1,-1",
    ]
    assert result_lines(MotBoxes.from_tracks(5, Tracks.empty())) == ""


def test_results_of_several_classes_have_their_numbers_and_are_read_again() -> None:
    tracks = two_tracks()
    for classes, of, numbers in (
        (("forklift", "person"), [0, 1], [14, 1]),
        (("motorbike", "motorcycle", "cow"), [1, 2], [14, 15]),
        (("car",), None, [3, 3]),
    ):
        seen = replace(tracks, classes=None if of is None else np.array(of, np.int32))
        text = result_lines(MotBoxes.from_tracks(0, seen, classes), classes)
        assert text.splitlines()[0] == f"1,4,1.000,1.000,10.000,20.000,0.5000,{numbers[0]},-1"
        assert parse_mot(text.splitlines()).classes.tolist() == numbers


def truth_lines(boxes: MotBoxes) -> list[str]:
    """Ground truth as MOT17 writes it."""
    columns = boxes.frames, boxes.ids, *boxes.xywh.T, boxes.flags, boxes.classes, boxes.visibility
    return [
        f"{frame},{track},{x:.3f},{y:.3f},{w:.3f},{h:.3f},{flag:.0f},{kind},{visibility:.5f}"
        for frame, track, x, y, w, h, flag, kind, visibility in zip(*columns, strict=True)
    ]


@settings(deadline=None)
@given(tables())
def test_ground_truth_is_read_as_it_was_written(boxes: MotBoxes) -> None:
    read = parse_mot(truth_lines(boxes))
    for name in ("frames", "ids", "flags", "classes"):
        np.testing.assert_array_equal(getattr(read, name), getattr(boxes, name))
    np.testing.assert_allclose(read.xywh, boxes.xywh, atol=0.0005001)
    np.testing.assert_allclose(read.visibility, boxes.visibility, atol=0.000005001)
    assert truth_lines(read) == truth_lines(boxes)


@settings(deadline=None)
@given(tables())
def test_results_survive_being_written_and_read(boxes: MotBoxes) -> None:
    read = parse_mot(result_lines(boxes).splitlines())
    np.testing.assert_array_equal(read.ids, boxes.ids)
    np.testing.assert_allclose(read.xywh, boxes.xywh, atol=0.0005001)
    assert result_lines(read) == result_lines(boxes)


def test_chosen_rows_keep_their_order() -> None:
    boxes = parse_mot([f"{frame},1,0,0,5,5,1" for frame in (3, 1, 2)])
    assert boxes.where(boxes.frames < 3).frames.tolist() == [1, 2]


@pytest.mark.data
def test_real_ground_truth_is_read_whole(data_dir: Path) -> None:
    boxes = read_mot(data_dir / "sequences" / "MOT17-02" / "gt.txt")
    assert len(boxes) == 30003
    scored = boxes.where((boxes.classes == 1) & (boxes.flags != 0))
    assert (len(scored), len(np.unique(scored.ids))) == (18581, 62)
