"""History and Replay: bounds, and what is found again."""

from hypothesis import given
from hypothesis import strategies as st

from service.tracks.history import History, Replay
from service.tracks.messages import Published
from service.tracks.views import EVERYTHING, Viewer


def message(seq: int, size: int = 10) -> Published:
    return Published("door", seq, float(seq), b"x" * size)


def numbers(messages: list[Published]) -> list[int]:
    return [one.seq for one in messages]


def test_empty_history_has_nothing() -> None:
    history = History(10, 1000)
    assert len(history) == 0
    assert history.last(5) == history.between(0, 1e9) == []
    assert history.at_or_after(1) is None
    assert list(Replay(history, 5, Viewer(EVERYTHING))) == []


@given(st.integers(1, 10), st.integers(1, 200), st.lists(st.integers(1, 100)))
def test_history_is_bounded_and_keeps_the_newest(most: int, most_bytes: int, sizes: list[int]) -> None:
    history = History(most, most_bytes)
    for seq, size in enumerate(sizes, 1):
        history.append(message(seq, size))
        kept = history.last(10**6)
        assert kept[-1].seq == seq
        assert numbers(kept) == list(range(kept[0].seq, seq + 1))
        assert len(kept) == len(history) <= most
        assert len(kept) == 1 or sum(len(one.encoded) for one in kept) <= most_bytes
        longer = sizes[kept[0].seq - 2 : seq] if kept[0].seq > 1 else []
        assert not longer or len(longer) > most or sum(longer) > most_bytes  # no more would fit


def test_window_has_both_its_ends() -> None:
    history = History(10, 1000)
    for seq in range(1, 8):
        history.append(message(seq))
    assert numbers(history.between(3.0, 5.0)) == [3, 4, 5]
    assert numbers(history.last(2)) == [6, 7]
    assert history.last(0) == []


@given(st.integers(1, 8), st.integers(0, 20), st.integers(1, 30), st.integers(0, 20))
def test_replay_tells_every_message_or_counts_it(most: int, before: int, from_seq: int, during: int) -> None:
    history = History(most, 10**6)
    for seq in range(1, before + 1):
        history.append(message(seq))
    replay = Replay(history, from_seq, Viewer(EVERYTHING))
    told: list[int] = []
    for seq in range(before + 1, before + during + 1):
        history.append(message(seq))
        if seq % 3 == 0:
            told += numbers([one for one in [next(replay, None)] if one])
    told += numbers(list(replay))
    newest = before + during
    if newest == 0:
        assert told == []
    elif from_seq <= before + 1:
        assert len(told) + replay.gap == max(0, newest - from_seq + 1)
        assert told == sorted(set(told))


def test_number_that_does_not_follow_starts_the_history_anew() -> None:
    history = History(10, 1000)
    for seq in (5, 6, 1, 2):
        history.append(message(seq))
    assert numbers(history.last(10)) == [1, 2]


def test_refilled_history_begins_earlier_and_has_no_hole() -> None:
    history = History(messages=100, size_bytes=10_000)
    history.refill([])
    assert len(history) == 0
    for seq in (7, 8):
        history.append(message(seq))
    history.refill([message(seq) for seq in (2, 4, 5, 6, 7, 8, 9)])
    assert [one.seq for one in history.last(100)] == [4, 5, 6, 7, 8]
    history.append(message(9))
    assert history.last(1)[0].seq == 9
