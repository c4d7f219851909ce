"""The table of people, against what was put in."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.summary import MOST_ROWS, Summary, clock
from edge.tracking.detections import Tracks

RATE = 25


def tracks(ids: list[int], score: float = 0.9) -> Tracks:
    count = len(ids)
    return Tracks(
        ids=np.array(ids, np.int64),
        xyxy=np.zeros((count, 4), np.float32),
        scores=np.full(count, score, np.float32),
        states=np.ones(count, np.uint8),
        velocities=np.zeros((count, 2), np.float32),
        ages_s=np.zeros(count, np.float32),
        detection=np.zeros(count, np.int32),
        unseen_s=np.zeros(count, np.float32),
    )


def summary(frames: list[list[int]], rate: float = RATE, score: float = 0.9) -> Summary:
    made = Summary(threshold=0.4)
    for index, ids in enumerate(frames):
        made.add(tracks(ids, score), index / rate)
    return made


def test_an_empty_film_has_nobody() -> None:
    assert summary([]).table() == "nobody was seen"
    assert summary([[], []]).table() == "nobody was seen"


def test_somebody_has_the_times_at_which_they_came_and_went() -> None:
    seen = summary([[]] * 50 + [[7]] * 76 + [[]] * 10)
    assert (seen.people[7].first_s, seen.people[7].last_s, seen.people[7].seconds) == (2.0, 5.0, 3.0)
    assert seen.table().splitlines()[1].split() == ["7", "0:02.0", "0:05.0", "3.0", "s", "-"]


def test_somebody_lost_and_found_again_is_worth_a_second_look() -> None:
    table = summary([[1, 2]] * 26 + [[2]] * 24 + [[1, 2]] * 26).table()
    assert "unseen 0:01.0 to 0:02.0" in table
    assert table.endswith("people: 2, of whom 1 are worth a second look")


def test_a_glance_away_is_no_doubt() -> None:
    assert summary([[1]] * 10 + [[]] * 3 + [[1]] * 10).people[1].doubts == ""


def test_a_slow_film_has_no_gaps_where_no_frame_is_missed() -> None:
    assert summary([[1]] * 10, rate=1).people[1].doubts == ""
    assert summary([[1], [], [1]], rate=1).people[1].doubts == "unseen 0:00.0 to 0:02.0"


def test_of_many_gaps_the_first_are_named_and_the_others_counted() -> None:
    doubts = summary(([[1]] * 5 + [[]] * 10) * 5 + [[1]]).people[1].doubts
    assert doubts.count("unseen") == 2
    assert doubts.endswith("and 3 times more")


def test_whoever_scores_hardly_more_than_asked_is_unsure() -> None:
    assert summary([[1]] * 10, score=0.42).people[1].doubts == "weak in 100% of its frames"
    assert summary([[1]] * 10, score=0.5).people[1].doubts == ""


def test_of_a_crowd_those_who_stayed_longest_are_shown() -> None:
    crowd = [[number for number in range(1, 101) if frame < number] for frame in range(100)]
    lines = summary(crowd).table().splitlines()
    assert len(lines) == MOST_ROWS + 3
    assert [int(line.split()[0]) for line in lines[1 : MOST_ROWS + 1]] == list(range(61, 101))
    assert lines[-2] == "and 60 more, seen for 2.4 s or less"


@given(st.lists(st.lists(st.integers(1, 5), unique=True), max_size=60))
def test_frames_and_times_of_everybody_are_those_of_the_film(frames: list[list[int]]) -> None:
    seen = summary(frames).people
    for number in {number for ids in frames for number in ids}:
        there = [index for index, ids in enumerate(frames) if number in ids]
        assert seen[number].frames == len(there)
        assert seen[number].first_s == there[0] / RATE
        assert seen[number].last_s == there[-1] / RATE


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00.0"), (59.96, "1:00.0"), (75.25, "1:15.2"), (3675.3, "1:01:15.3")]
)
def test_a_clock_has_minutes_and_tenths(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_of_several_classes_the_table_tells_which() -> None:
    made = Summary(0.4, ("person", "forklift"))
    made.add(replace(tracks([1, 2, 3]), classes=np.array([1, 0, 1], np.int32)), 0.0)
    rows = [line.split() for line in made.table().splitlines()]
    assert rows[0][:2] == ["track", "class"]
    assert [row[:2] for row in rows[1:4]] == [["1", "forklift"], ["2", "person"], ["3", "forklift"]]
    assert made.table().endswith("person: 1, forklift: 2, of whom 0 are worth a second look")
