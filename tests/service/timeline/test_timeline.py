"""Timeline and Archive: what is kept, for how long, and what a bad disk costs."""

import sqlite3
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.pipeline.pipeline import Kind, TrackedFrame
from edge.sources.base import Frame
from edge.tracking.detections import Tracks
from service.timeline.archive import STEP_S, Archive, PeopleCounts, StoredEvent
from service.timeline.timeline import MOST_STILLS_WAITING, Timeline, TimelineLost, TimelineSettings
from service.zones.counter import ZoneEvent
from service.zones.zone import Polygon
from tests.service.waiting import wait_until

T0 = 1_700_000_000
HALL = Polygon(id="hall", name="Hall", type="polygon", points=((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)))
ENTER = ZoneEvent("enter", "hall", 3, 1)
KEEP = TimelineSettings(days=36500, stills_bytes=1e6)
PICTURE = np.full((90, 160, 3), 120, np.uint8)


def frame(
    people: int = 0, kind: Kind = "student", discontinuity: bool = False, image: object = PICTURE
) -> TrackedFrame:
    tracks = Tracks(
        ids=np.arange(1, people + 1, dtype=np.int64),
        xyxy=np.tile(np.array([10, 10, 40, 80], np.float32), (people, 1)),
        scores=np.zeros(people, np.float32),
        states=np.ones(people, np.uint8),
        velocities=np.zeros((people, 2), np.float32),
        ages_s=np.zeros(people, np.float32),
        unseen_s=np.zeros(people, np.float32),
        detection=np.arange(people, dtype=np.int32),
    )
    picture = Frame(image, 0, 0.0, T0, "host", None)  # type: ignore[arg-type]
    return TrackedFrame("door", picture, tracks, kind, 6, 1, discontinuity=discontinuity)


def events_of(kept: Archive, stream_id: str = "door") -> list[StoredEvent]:
    return kept.events(stream_id, 0, 1e11, 1000)


def counts_of(kept: Archive, stream_id: str = "door") -> list[PeopleCounts]:
    return kept.counts(stream_id, 0, 1e11, STEP_S, 1000)


@pytest.fixture(params=["file", "memory"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Archive]:
    archive = Archive(tmp_path / "timeline.sqlite3" if request.param == "file" else None)
    yield archive
    archive.close()


def test_new_archive_is_empty(kept: Archive) -> None:
    assert counts_of(kept) == events_of(kept) == []
    assert kept.still("door", 1) is None


def test_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    Archive(tmp_path / "timeline.sqlite3").close()
    assert stat.S_IMODE((tmp_path / "timeline.sqlite3").stat().st_mode) == 0o600


def test_two_archives_in_memory_share_nothing() -> None:
    one, other = Archive(None), Archive(None)
    one.add("door", [], [StoredEvent(T0, "enter", "hall")])
    assert events_of(other) == []


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9), st.integers(0, 9)), max_size=30), st.integers(1, 6))
def test_counts_of_longer_steps_are_the_sums_of_their_parts(rows: list[tuple[int, int, int]], wide: int) -> None:
    archive = Archive(None)
    archive.add("door", [PeopleCounts(T0 + STEP_S * at, n, n * most, most, n, 0, 0) for at, n, most in rows], [])
    step = STEP_S * wide
    got = archive.counts("door", 0, 1e11, step, 1000)
    starts = sorted({(T0 + STEP_S * at) // step * step for at, _, _ in rows})
    assert [one.at for one in got] == starts
    for one in got:
        mine = [row for row in rows if (T0 + STEP_S * row[0]) // step * step == one.at]
        assert one.frames == one.teacher == sum(n for _, n, _ in mine)
        assert one.people == sum(n * most for _, n, most in mine)
        assert one.most == max(most for _, _, most in mine)
    archive.close()


def test_stream_that_is_forgotten_leaves_nothing_behind_even_in_the_bytes_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "timeline.sqlite3"
    archive = Archive(path)
    for name in ("door", "yard"):
        with archive.transaction():
            number = archive.add_still(name, T0, f"picture of {name} ".encode() * 500)
            entered = StoredEvent(T0, "enter", f"zone of {name}", still=number)
            archive.add(name, [PeopleCounts(T0, 1, 1, 1, 1, 0, 0)], [entered])
    archive.forget("door")
    assert counts_of(archive) == events_of(archive) == []
    assert len(events_of(archive, "yard")) == len(counts_of(archive, "yard")) == 1
    archive.close()
    left = b"".join(one.read_bytes() for one in tmp_path.iterdir())
    assert b"of yard" in left and b"of door" not in left


def test_limits_take_the_old_and_the_too_many(kept: Archive) -> None:
    day = 86_400
    numbers = [kept.add_still("door", T0 + day * n, bytes(1000)) for n in range(5)]
    kept.add("door", [PeopleCounts(T0 + STEP_S * n, 1, 1, 1, 1, 0, 0) for n in range(3)], [])
    kept.add("door", [], [StoredEvent(T0 + day * n, "enter", "hall", still=number) for n, number in enumerate(numbers)])
    kept.keep_limits(T0 + day * 1.5, days=1, stills_bytes=2500)
    assert counts_of(kept) == []
    assert [event.still for event in events_of(kept)] == [numbers[4], numbers[3], None, None]  # 2 was one too many
    assert [kept.still("door", number) is not None for number in numbers] == [False] * 3 + [True] * 2


def test_still_of_another_stream_is_not_there(kept: Archive) -> None:
    number = kept.add_still("door", T0, b"jpeg")
    assert kept.still("door", number) == b"jpeg"
    assert kept.still("yard", number) is None


@pytest.mark.parametrize("content", [b"this is no database, it is a letter" * 40, b"SQLite format 3\0" + bytes(4000)])
def test_damaged_file_is_set_aside_and_a_new_one_begins(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "timeline.sqlite3"
    path.write_bytes(content)
    archive = Archive(path)
    archive.add("door", [], [StoredEvent(T0, "enter", "hall")])
    assert len(events_of(archive)) == 1
    archive.close()
    aside = [one for one in tmp_path.iterdir() if "unreadable" in one.name]
    assert [one.read_bytes() for one in aside] == [content]


# --- the thread in between


@pytest.fixture
def timeline() -> Iterator[Timeline]:
    made = Timeline(None, KEEP)
    made.start([])
    yield made
    made.close()


def test_frames_are_counted_by_who_looked_in_steps_of_ten_seconds(timeline: Timeline) -> None:
    recorder = timeline.of("door")
    for second, (people, kind) in enumerate([(2, "teacher"), (3, "student"), (1, "predicted"), (4, "student")]):
        recorder.record(frame(people, kind), [], [], 0, T0 + 5 * second)  # type: ignore[arg-type]
    recorder.finish()
    wait_until(lambda: len(timeline.read(counts_of)) == 2, 10, "both steps")
    assert timeline.read(counts_of) == [PeopleCounts(T0, 2, 5, 3, 1, 1, 0), PeopleCounts(T0 + 10, 2, 5, 4, 0, 1, 1)]
    assert timeline.read(events_of) == []


def test_event_is_kept_with_the_name_its_zone_had_and_without_picture_unless_asked(timeline: Timeline) -> None:
    recorder = timeline.of("door")
    recorder.record(frame(1), [ENTER, ZoneEvent("leave", "gone", 2, 1, dwell_s=4.5)], [HALL], 0, T0)
    recorder.record(frame(0, discontinuity=True), [], [HALL], 0, T0 + 1)
    wait_until(lambda: len(timeline.read(events_of)) == 3, 10, "the events")
    assert timeline.read(events_of) == [
        StoredEvent(T0 + 1, "discontinuity"),
        StoredEvent(T0, "leave", "gone", None, 2, None, 4.5),
        StoredEvent(T0, "enter", "hall", "Hall", 3),
    ]


def test_picture_of_an_event_shows_its_boxes(timeline: Timeline) -> None:
    timeline.of("door").record(frame(1), [ENTER], [HALL], 1, time.time())
    wait_until(lambda: timeline.read(events_of), 10, "the event")
    (event,) = timeline.read(events_of)
    assert event.still is not None
    jpeg = timeline.read(lambda kept: kept.still("door", event.still or 0))
    assert jpeg is not None
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None and picture.shape == PICTURE.shape
    assert np.abs(picture[20:70, 5:45].astype(int) - 120).max() > 60  # a box was drawn
    assert np.abs(picture[40:, 100:].astype(int) - 120).max() < 12
    assert (PICTURE == 120).all()  # not into the frame itself, which others show


def test_picture_that_cannot_be_made_costs_no_event(timeline: Timeline) -> None:
    timeline.of("door").record(frame(1, image=np.zeros((0, 0, 3), np.uint8)), [ENTER], [HALL], 1, time.time())
    timeline.of("yard").record(frame(1), [ENTER], [HALL], 1, time.time())
    wait_until(lambda: timeline.read(lambda kept: events_of(kept, "yard")), 10, "the other event")
    assert [event.still for event in timeline.read(events_of)] == [None]


def test_removed_stream_is_forgotten_when_forget_returns(timeline: Timeline) -> None:
    recorder = timeline.of("door")
    recorder.record(frame(1), [ENTER], [HALL], 1, time.time())
    assert timeline.forget("door")
    assert timeline.read(events_of) == []
    timeline.of("door").record(frame(1), [ENTER], [HALL], 0, time.time())
    wait_until(lambda: timeline.read(events_of), 10, "the event of a stream with the same id")


def test_what_waits_is_written_at_the_end_and_streams_gone_since_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "timeline.sqlite3"
    first = Timeline(path, KEEP)
    first.start([])
    for name in ("door", "yard"):
        first.of(name).record(frame(2), [ENTER], [HALL], 0, time.time())
    first.close()
    second = Timeline(path, KEEP)
    second.start(["door"])
    assert [one.frames for one in second.read(counts_of)] == [1]
    assert len(second.read(events_of)) == 1
    assert second.read(lambda kept: events_of(kept, "yard")) == []
    second.close()


def test_disk_that_hangs_keeps_neither_the_device_thread_nor_readers_waiting(tmp_path: Path) -> None:
    path = tmp_path / "timeline.sqlite3"
    timeline = Timeline(path, KEEP)
    recorder = timeline.of("door")
    timeline.start([])
    timeline.read(events_of)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # another program's transaction
    began = time.monotonic()
    for second in range(200):
        recorder.record(frame(1), [ENTER], [HALL], 1, T0 + 10 * second)
    assert time.monotonic() - began < 1
    assert timeline._pictures <= MOST_STILLS_WAITING
    assert timeline.read(events_of) == []
    assert time.monotonic() - began < 2
    other.execute("ROLLBACK")
    wait_until(lambda: len(timeline.read(events_of)) == 200, 15, "all events once the disk answers")
    timeline.close()


def test_folder_that_cannot_be_written_costs_the_timeline_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    timeline = Timeline(tmp_path / "file" / "timeline.sqlite3", KEEP)
    timeline.start([])
    timeline.of("door").record(frame(1), [ENTER], [HALL], 0, T0)
    with pytest.raises(TimelineLost):
        timeline.read(events_of)
    timeline.close()
    assert not any(thread.name == "timeline" and thread.is_alive() for thread in threading.enumerate())


def test_removal_that_fails_is_tried_again_once_a_second_until_it_is_done(
    timeline: Timeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeline.of("door").record(frame(1), [ENTER], [HALL], 0, time.time())
    wait_until(lambda: timeline.read(events_of), 10, "the event")
    tried: list[float] = []
    forget = Archive.forget

    def fails_twice(self: Archive, stream_id: str) -> None:
        tried.append(time.monotonic())
        if len(tried) < 3:
            raise sqlite3.OperationalError("database or disk is full")
        forget(self, stream_id)

    monkeypatch.setattr(Archive, "forget", fails_twice)
    assert timeline.forget("door")
    assert timeline.read(events_of) == []
    assert len(tried) == 3 and tried[2] - tried[1] > 0.8


def test_events_keep_their_class_also_in_a_file_that_has_no_place_for_it_yet(tmp_path: Path) -> None:
    path = tmp_path / "timeline.sqlite3"
    old = Archive(path)
    old.add("door", [], [StoredEvent(T0, "enter", "hall", person=3)])
    old.close()
    with closing(sqlite3.connect(path)) as file:
        file.execute("ALTER TABLE events DROP COLUMN class")
    archive = Archive(path)
    archive.add("door", [], [StoredEvent(T0 + 1, "enter", "hall", person=4, class_name="car")])
    assert [(event.person, event.class_name) for event in events_of(archive)] == [(4, "car"), (3, None)]
    archive.close()
