"""When video counts as broken."""

from hypothesis import given
from hypothesis import strategies as st

from edge.sources.decoder.pictures import Damage


def after(*broken: bool) -> Damage:
    damage = Damage()
    for each in broken:
        damage.count(each)
    return damage


def test_nothing_is_broken_at_first() -> None:
    assert not Damage().most


def test_some_broken_pictures_in_a_row_are_no_trouble_but_ten_are() -> None:
    assert not after(*[True] * 5).most
    assert after(*[True] * 10).most


def test_it_ends_when_hardly_any_is_broken() -> None:
    assert after(*[True] * 30, *[False] * 10).most
    assert not after(*[True] * 30, *[False] * 30).most


@given(st.integers(4, 20), st.integers(0, 200))
def test_one_broken_picture_in_four_is_never_called_so(period: int, count: int) -> None:
    assert not after(*(i % period == 0 for i in range(count))).most
