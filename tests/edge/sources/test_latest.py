import threading
from collections.abc import Iterator

import numpy as np
import pytest

from edge.sources.base import Frame, SourceError, SourceState
from edge.sources.latest import FrameReader, LatestFrame


def frame(index: int) -> Frame:
    return Frame(np.zeros((2, 2, 3), np.uint8), index, index * 0.04, index * 0.04, "media")


class ScriptedSource:
    """Gives `count` frames, then raises `error` if there is one."""

    frame_rate: float | None = None
    frame_count: int | None = None

    def __init__(self, count: int, live: bool = False, error: Exception | None = None) -> None:
        self.live, self.closed = live, False
        self._count, self._error = count, error

    @property
    def state(self) -> SourceState:
        return SourceState("running", 0.0)

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self._count):
            if self.closed:
                return
            yield frame(index)
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        self.closed = True


def test_empty_door_has_nothing_to_take() -> None:
    door = LatestFrame()
    assert door.take() is None and door.wait(0.001) is None
    assert not door.ready and not door.finished


def test_newest_frame_wins_and_losses_are_counted() -> None:
    door = LatestFrame()
    for index in range(5):
        assert door.put(frame(index))
    taken = door.take()
    assert taken is not None and taken.index == 4
    assert (door.received, door.dropped) == (5, 4)
    assert door.take() is None


def test_closed_door_gives_its_last_frame_and_takes_no_more() -> None:
    door = LatestFrame()
    door.put(frame(0))
    door.close()
    assert not door.put(frame(1)) and not door.finished
    assert door.wait(1) is not None
    assert door.finished and door.wait(1) is None


def test_one_wait_covers_all_doors_with_the_same_bell() -> None:
    bell = threading.Condition()
    doors = [LatestFrame(bell) for _ in range(3)]
    feeder = threading.Timer(0.05, lambda: doors[2].put(frame(7)))
    feeder.start()
    with bell:
        assert bell.wait_for(lambda: any(door.ready for door in doors), 10)
    assert [door.ready for door in doors] == [False, False, True]
    feeder.join()


def test_file_loses_no_frame_under_a_slow_reader() -> None:
    door = LatestFrame()
    reader = FrameReader(ScriptedSource(50), door)
    reader.start()
    seen = []
    while not door.finished:
        if (got := door.wait(5)) is not None:
            seen.append(got.index)
    assert seen == list(range(50))
    assert door.dropped == 0 and reader.error is None
    assert reader.close() and not reader.alive


def test_live_source_is_never_held_up() -> None:
    door = LatestFrame()
    reader = FrameReader(ScriptedSource(50, live=True), door)
    reader.start()
    with door.bell:
        assert door.bell.wait_for(lambda: door.received == 50, 10)
    assert door.dropped == 49
    assert reader.close()


def test_close_frees_a_reader_that_waits_for_its_frame_to_be_taken() -> None:
    door = LatestFrame()
    reader = FrameReader(ScriptedSource(50), door)
    reader.start()
    with door.bell:
        assert door.bell.wait_for(lambda: door.ready, 10)
    assert reader.close()
    assert not reader.alive


def test_reader_that_never_started_can_be_closed() -> None:
    source = ScriptedSource(1)
    assert FrameReader(source, LatestFrame()).close()
    assert source.closed


@pytest.mark.parametrize(
    ("error", "code"),
    [(SourceError("not_found", "gone"), "not_found"), (ZeroDivisionError("bug"), "internal")],
)
def test_failure_is_kept_and_the_door_closed(error: Exception, code: str) -> None:
    door = LatestFrame()
    reader = FrameReader(ScriptedSource(1, error=error), door)
    reader.start()
    assert door.wait(10) is not None
    with door.bell:
        assert door.bell.wait_for(lambda: door.finished, 10)
    assert reader.error is not None and reader.error.code == code
    reader.close()
