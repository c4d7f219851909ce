import pytest

from edge.pipeline.timings import StageTimes, Stopwatch


def test_a_watch_that_never_ran_has_no_mean() -> None:
    assert Stopwatch().ms_per_frame == 0


def test_a_watch_adds_up_time_and_frames_even_when_the_block_fails() -> None:
    watch = Stopwatch()
    with watch(2):
        pass
    with pytest.raises(RuntimeError), watch(3):
        raise RuntimeError
    assert watch.frames == 5
    assert watch.seconds > 0
    assert watch.ms_per_frame == pytest.approx(200 * watch.seconds)


def test_stages_come_in_the_order_of_a_tick() -> None:
    assert list(StageTimes().stages()) == [
        *("letterbox", "extrapolate", "teacher", "student", "wait", "association", "keep")
    ]
