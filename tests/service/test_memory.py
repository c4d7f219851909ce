"""What the service holds on to: cycles are found and free pages go back while it runs."""

import asyncio
import gc
import weakref

import pytest

from service import memory


class Ring:
    """Refers to itself, so that only the collector can free it."""

    def __init__(self) -> None:
        self.own = self


def test_what_the_start_has_made_is_not_looked_through_again_and_pages_go_back_each_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given_back: list[float] = []
    monkeypatch.setattr(memory, "TIDY_S", 0.01)
    monkeypatch.setattr(memory, "give_back", lambda: given_back.append(0))
    before, ring = gc.get_freeze_count(), weakref.ref(Ring())

    async def live() -> None:
        tidying = asyncio.create_task(memory.keep_tidy())
        while len(given_back) < 3:
            await asyncio.sleep(0.01)
        tidying.cancel()

    try:
        asyncio.run(live())
        assert gc.get_freeze_count() > before
        assert ring() is None, "what was left over of the start is not kept for ever"
    finally:
        gc.unfreeze()


def test_giving_back_is_harmless() -> None:
    memory.share_arenas()
    memory.give_back()
