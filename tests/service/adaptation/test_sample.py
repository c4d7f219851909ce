"""A sample stays within its memory, whatever comes, and keeps what students are compared on apart."""

from hypothesis import given
from hypothesis import strategies as st

from service.adaptation.sample import KEPT_EVERY, KEPT_SHARE, Excerpt, Sample


def stretch(number: int, *lengths: int) -> Excerpt:
    return Excerpt("door", number, tuple(bytes(length) for length in lengths), (64, 32), 25.0)


def test_an_empty_sample_is_ready_for_nothing() -> None:
    sample = Sample(1000)
    assert not sample.ready
    assert (sample.nbytes, list(sample), sample.learnt, sample.kept) == (0, [], (), ())


@given(st.lists(st.lists(st.integers(0, 400), max_size=6), max_size=60), st.integers(0, 3000))
def test_it_never_holds_more_than_it_may(stretches: list[list[int]], most: int) -> None:
    sample = Sample(most)
    came: list[Excerpt] = []
    for number, lengths in enumerate(stretches):
        came.append(stretch(number, *lengths))
        sample.add(came[-1])
        assert sum(len(picture) for one in sample for picture in one.pictures) == sample.nbytes <= most
        assert sum(one.nbytes for one in sample.kept) <= KEPT_SHARE * most
    for there, kept in ((sample.learnt, False), (sample.kept, True)):
        assert all(one.kept == kept for one in there)
        mine = [one for one in came if one.kept == kept and one in there]
        assert list(there) == mine, "in the order in which they came"


def test_what_nothing_is_learnt_from_is_the_same_for_ever() -> None:
    sample = Sample(10_000)
    for number in range(4 * KEPT_EVERY):
        sample.add(stretch(number, 10))
    assert [one.number for one in sample.kept] == [KEPT_EVERY - 1 + KEPT_EVERY * i for i in range(4)]
    assert sample.ready


def test_the_oldest_go_first_and_one_too_large_takes_nothing_with_it() -> None:
    sample = Sample(400)  # 300 to learn from, 100 to compare on
    for number in (0, 1, 2):
        sample.add(stretch(number, 100))
    sample.add(stretch(4, 301))
    assert [one.number for one in sample.learnt] == [0, 1, 2]
    sample.add(stretch(5, 150))
    assert [one.number for one in sample.learnt] == [2, 5]
