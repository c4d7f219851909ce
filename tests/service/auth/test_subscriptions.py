"""Shares: one key alone may have all places of a stream, and never keeps others out."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.auth.caller import Caller
from service.auth.subscriptions import Subscriptions
from service.errors import LimitReached

A, B, C = (Caller(name, "read", key_id=name) for name in "abc")


def in_loop(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(test())  # type: ignore[arg-type]


def test_nobody_is_held_at_first() -> None:
    assert len(Subscriptions(1, 1)) == 0


def test_full_stream_has_room_for_who_has_less() -> None:
    async def test() -> None:
        places = Subscriptions(per_stream=4, per_key=100)
        with ExitStack() as held:
            greedy = [held.enter_context(places.hold(A, ["s"])) for _ in range(4)]
            with pytest.raises(LimitReached):
                held.enter_context(places.hold(A, ["s"]))
            held.enter_context(places.hold(A, ["other"]))
            for left in (3, 2):
                held.enter_context(places.hold(B, ["s"]))
                assert [one.ended.done() for one in greedy].count(False) == left
            assert greedy[0].ended.done() is False, "the newest goes"
            with pytest.raises(LimitReached):  # both have two
                held.enter_context(places.hold(B, ["s"]))
            held.enter_context(places.hold(C, ["s"]))
        assert len(places) == 0

    in_loop(test)


def test_one_key_has_so_many_connections_and_no_more() -> None:
    async def test() -> None:
        places = Subscriptions(per_stream=100, per_key=2)
        with places.hold(A, ["s"]), places.hold(A, ["t"]):
            with pytest.raises(LimitReached) as refused, places.hold(A, ["u"]):
                pass
            assert refused.value.code == "too_many_connections"
            with places.hold(B, ["s"]):
                pass

    in_loop(test)


@given(st.lists(st.sampled_from([A, B, C]), max_size=60), st.integers(1, 8))
def test_who_asks_gets_a_fair_share_whatever_the_others_do(order: list[Caller], per_stream: int) -> None:
    async def test() -> None:
        places = Subscriptions(per_stream, per_key=1000)
        with ExitStack() as held:
            for caller in order:
                try:
                    held.enter_context(places.hold(caller, ["s"]))
                except LimitReached:
                    mine = sum(one.caller == caller for one in places._seats)
                    assert mine + 1 >= per_stream // 3, "less than a third, and refused"
                assert len(places) <= per_stream

    in_loop(test)
