"""Every miss, false box and switch is counted once and in its place."""

import json
from pathlib import Path

import motmetrics
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.accuracy import evaluate
from benchmarks.arms import Variant, open_pipelines
from benchmarks.failures import JudgedFrame, JudgedSequence, Verdict, count, judge, lines, main, sequence_folders
from benchmarks.metrics.scores import POOLED, compare
from edge.pipeline.backend import open_backend
from edge.pipeline.config import SHIPPED_PAIR
from edge.tracking.mot_format import MotBoxes, parse_mot, read_mot
from tests.support.tiny_pair import write_tiny_pair

NOTHING = parse_mot([])


def boxes(*rows: tuple[float, ...], flag: int = 1, kind: int = 1, visible: float = 1.0) -> MotBoxes:
    """Rows of frame, id, left, top, width, height."""
    return parse_mot(",".join(map(str, (*row, flag, kind, visible))) for row in rows)


def together(*parts: MotBoxes) -> MotBoxes:
    names = ("frames", "ids", "xywh", "flags", "classes", "visibility")
    return MotBoxes(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def sequence(frames: list[JudgedFrame], name: str = "street", ratio: float = 0.5) -> JudgedSequence:
    return JudgedSequence(name, frames, ratio)


@pytest.fixture(scope="module")
def scene() -> JudgedSequence:
    """Three frames at K=3 with one of everything; sides of 100 pixels make overlaps percentages.

    Frame 1, the keyframe: A is found. Frame 2: A is found and has a second box, B is half seen, C is unscored and seen.
    Frame 3: A has a new id, B is missed at the picture's edge, something is on nothing.
    """
    people = [(1, 1, 101, 101, 100, 100), (2, 1, 101, 101, 100, 100), (3, 1, 101, 101, 100, 100)]
    partly_hidden = boxes((2, 2, 301, 101, 100, 40), visible=0.3)
    at_the_edge = boxes((3, 2, 541, 101, 100, 40), visible=0.5)
    unscored = boxes((2, 3, 401, 301, 50, 50), flag=0)
    truth = together(boxes(*people), partly_hidden, at_the_edge, unscored)
    right = [(1, 7, 101, 101, 100, 100), (2, 7, 101, 101, 100, 100), (3, 8, 101, 101, 100, 90)]
    false = [(2, 9, 101, 101, 40, 100), (2, 10, 301, 101, 40, 40), (2, 11, 401, 301, 50, 50), (3, 12, 1, 401, 50, 50)]
    return sequence(judge(truth, boxes(*right, *false), 1, [0, 1, 2]))


def test_no_frames_and_nobody_in_them_count_nothing() -> None:
    assert judge(NOTHING, NOTHING, 1, []) == []
    nobody = sequence(judge(NOTHING, NOTHING, 5, [0, 1]))
    for sequences in ([], [nobody]):
        counted = count(sequences)
        pooled = counted["pooled"]
        assert (pooled["people"], pooled["recall"], pooled["precision"], pooled["switches"]) == (0, None, None, 0)
        assert sum(row["people"] for row in counted["recall_by_height_in_input_px"]) == 0
    assert "-" in "".join(lines(counted))


@pytest.mark.parametrize(
    ("overlap", "found", "missed"),
    [
        (9, Verdict.NOTHING, Verdict.NOTHING),
        (10, Verdict.PARTLY, Verdict.PARTLY),
        (29, Verdict.PARTLY, Verdict.PARTLY),
        (30, Verdict.DUPLICATE, Verdict.PARTLY),
        (49, Verdict.DUPLICATE, Verdict.PARTLY),
    ],
)
def test_what_a_false_box_is_depends_on_its_overlap_and_on_whether_the_person_was_found(
    overlap: int, found: Verdict, missed: Verdict
) -> None:
    person, box = boxes((1, 1, 0, 0, 100, 100)), (1, 5, 0, 0, overlap, 100)
    assert judge(person, boxes((1, 4, 0, 0, 100, 100), box), 1, [0])[0].verdicts.tolist() == [Verdict.RIGHT, found]
    assert judge(person, boxes(box), 1, [0])[0].verdicts.tolist() == [missed]


@pytest.mark.parametrize(
    ("flag", "kind", "expected"), [(0, 1, [Verdict.UNSCORED]), (1, 3, [Verdict.NOTHING]), (1, 8, [])]
)
def test_boxes_on_unscored_people_on_things_and_on_distractors(flag: int, kind: int, expected: list[Verdict]) -> None:
    """A distractor's box is removed before anything is counted."""
    truth = boxes((1, 1, 0, 0, 100, 100), flag=flag, kind=kind)
    frame = judge(truth, boxes((1, 5, 0, 0, 100, 60)), 1, [0])[0]
    assert frame.verdicts.tolist() == expected
    assert len(frame.people) == 0


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([], []),
        ([7, 7, 7], []),
        ([None, None, 7], []),
        ([7, None, 7], []),
        ([7, 8], [0]),
        ([7, None, None, 8], [2]),
        ([7, 8, None, 7], [0, 1]),
    ],
)
def test_a_switch_says_how_long_somebody_was_unseen(ids: list[int | None], expected: list[int]) -> None:
    truth = boxes(*((frame, 1, 0, 0, 100, 100) for frame in range(1, len(ids) + 1)))
    results = boxes(*((frame, i, 0, 0, 100, 100) for frame, i in enumerate(ids, start=1) if i is not None))
    assert [n for frame in judge(truth, results, 1, [0] * len(ids)) for n in frame.unseen] == expected


def test_two_people_who_exchange_ids_have_each_others() -> None:
    people = [(frame, person, 200 * person, 0, 100, 100) for frame in (1, 2) for person in (1, 2)]
    swapped = [(1, 1, 200, 0, 100, 100), (1, 2, 400, 0, 100, 100), (2, 2, 200, 0, 100, 100), (2, 1, 400, 0, 100, 100)]
    first, second = judge(boxes(*people), boxes(*swapped), 1, [0, 1])
    assert (first.unseen, second.unseen) == ((), (0, 0))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(*(st.integers(*span) for span in ((1, 6), (1, 4), (0, 3), (0, 3)))), max_size=40), st.data())
def test_sums_are_those_of_the_scores(drawn: list[tuple[int, int, int, int]], data: st.DataObject) -> None:
    rows = {(frame, person): (30 * x, 30 * y) for frame, person, x, y in drawn}
    truth = boxes(*((frame, person, x, y, 60, 60) for (frame, person), (x, y) in rows.items()))
    moves = data.draw(
        st.lists(st.tuples(st.integers(0, 60), st.integers(0, 2)), min_size=len(rows), max_size=len(rows))
    )
    seen = {
        (frame, (person + shift) % 4 + 1): (x + dx, y)
        for ((frame, person), (x, y)), (dx, shift) in zip(rows.items(), moves, strict=True)
    }
    results = boxes(*((frame, i, x, y, 60, 60) for (frame, i), (x, y) in seen.items()))
    frames = judge(truth, results, 1, [0, 1, 2, 0, 1, 2])
    clear = compare(truth, results, 1, 6)
    totals = count([sequence(frames)])["pooled"]
    assert totals["people"] - totals["found"] == clear.misses
    assert sum(totals["false"].values()) == clear.false_positives
    assert totals["switches"] == clear.switches


def test_sums_of_a_public_sample_are_those_of_the_official_tool() -> None:
    folder = Path(motmetrics.__file__).parent / "data" / "TUD-Campus"
    truth = read_mot(folder / "gt.txt")
    frames = judge(truth, read_mot(folder / "test.txt"), 1, [0] * int(truth.frames.max()))
    totals = count([sequence(frames)])["pooled"]
    assert (totals["people"] - totals["found"], sum(totals["false"].values()), totals["switches"]) == (150, 13, 7)


def test_each_failure_stands_in_its_group(scene: JudgedSequence) -> None:
    counted = count([scene])
    assert counted["pooled"] == {
        "frames": 3,
        "people": 5,
        "found": 3,
        "recall": 0.6,
        "precision": round(3 / 7, 5),
        "false": {"duplicate": 1, "unscored": 1, "partly": 1, "nothing": 1},
        "switches": 1,
    }
    heights = {
        (row["from"], row["below"]): (row["people"], row["found"]) for row in counted["recall_by_height_in_input_px"]
    }
    assert {bounds: seen for bounds, seen in heights.items() if seen[0]} == {(15, 25): (2, 0), (40, 60): (3, 3)}
    visible = [(row["people"], row["found"]) for row in counted["recall_by_visibility"]]
    assert visible == [(0, 0), (1, 0), (1, 0), (0, 0), (3, 3)]
    ages = counted["by_frames_since_keyframe"]
    assert [(row["since_keyframe"], row["people"], row["found"], row["switches"]) for row in ages] == [
        (0, 1, 1, 0),
        (1, 2, 1, 0),
        (2, 2, 1, 1),
    ]
    assert counted["switches_by_frames_unseen"][0] == {"from": 0, "below": 1, "at_keyframe": 0, "between": 1}
    assert sum(row["at_keyframe"] + row["between"] for row in counted["switches_by_frames_unseen"]) == 1
    assert json.loads(json.dumps(counted)) == counted


def test_sequences_are_counted_apart_and_those_without_visibility_are_left_out_of_it(scene: JudgedSequence) -> None:
    people = boxes((1, 1, 101, 101, 100, 100))
    plain = sequence(judge(people, people, 1, [0]), "plain", ratio=2.0)
    counted = count([scene, plain])
    assert [(row["sequence"], row["people"]) for row in counted["by_sequence"]] == [("street", 5), ("plain", 1)]
    assert counted["visibility_unknown_in"] == ["plain"]
    assert sum(row["people"] for row in counted["recall_by_visibility"]) == 5
    assert counted["recall_by_height_in_input_px"][-1]["people"] == 1


def test_a_long_absence_and_a_keyframe_are_told_apart() -> None:
    truth = boxes(*((frame, 1, 0, 0, 100, 100) for frame in range(1, 41)))
    results = boxes((1, 7, 0, 0, 100, 100), (8, 8, 0, 0, 100, 100), (40, 9, 0, 0, 100, 100))
    since = [(frame - 1) % 7 for frame in range(1, 41)]
    rows = count([sequence(judge(truth, results, 1, since))])["switches_by_frames_unseen"]
    assert [
        (row["from"], row["at_keyframe"], row["between"]) for row in rows if row["at_keyframe"] or row["between"]
    ] == [
        (6, 1, 0),
        (31, 0, 1),
    ]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_tiny_pair(folder, pair=SHIPPED_PAIR)
    return folder


def test_the_command_counts_what_accuracy_counts_and_writes_them(
    crossing: Path, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--data", str(crossing.parent), "--models", str(models), "--size", "320x192", "--output", str(tmp_path)]
    assert main([*where, "--k", "3"]) == 0
    printed = capsys.readouterr().out
    assert {"MOT17-09", "pooled", "keyframe + 2"} <= {line[:16].strip() for line in printed.splitlines()}
    result = json.loads((tmp_path / "failures.json").read_text())
    variant = Variant("atttrack", 3)
    pipelines = open_pipelines([variant], open_backend(models, (320, 192), "cpu"))
    clear = evaluate([crossing], "second", pipelines)[variant][POOLED]
    pooled = result["pooled"]
    assert (pooled["people"], pooled["people"] - pooled["found"]) == (clear.boxes, clear.misses)
    assert (sum(pooled["false"].values()), pooled["switches"]) == (clear.false_positives, clear.switches)
    assert [row["frames"] for row in result["by_frames_since_keyframe"]] == [3, 2, 2]
    assert (result["mode"], result["k"], result["half"]) == ("atttrack", 3, "second")
    assert result["conditions"]["models"]


def test_a_sequence_that_is_there_in_three_copies_is_run_once(tmp_path: Path) -> None:
    for name in ("MOT17-02-DPM", "MOT17-02-FRCNN", "MOT17-02-SDP", "lobby"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "seqinfo.ini").touch()
    (tmp_path / "notes").mkdir()
    assert [folder.name for folder in sequence_folders(tmp_path, None)] == ["MOT17-02-FRCNN", "lobby"]
    assert [folder.name for folder in sequence_folders(tmp_path, ["MOT17-02-SDP"])] == ["MOT17-02-SDP"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--data", "nowhere"], "nowhere has no sequence"),
        (["--sequences", "MOT17-99"], "MOT17-99"),
        (["--models", "nowhere"], "nowhere"),
        (["--k", "0"], "k must be 1 to"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    crossing: Path, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: list[str], message: str
) -> None:
    where = ["--data", str(crossing.parent), "--models", str(models), "--size", "320x192", "--output", str(tmp_path)]
    assert main([*where, *change]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
