"""TrackHub: order, bounds, gaps and goodbyes."""

import asyncio
import json
from collections.abc import Coroutine
from threading import Thread
from typing import Any

import pytest

from service.hub import HubClosed, Subscription, TrackHub


def message(number: int) -> bytes:
    return b'{"seq":%d,"gap":0}' % number


async def take_all(subscription: Subscription) -> tuple[list[dict[str, int]], HubClosed]:
    """Everything until the goodbye."""
    taken = []
    while True:
        try:
            taken.append(json.loads(await subscription.get()))
        except HubClosed as closed:
            return taken, closed


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 10))


def test_stream_nobody_follows_has_no_subscribers_and_takes_messages() -> None:
    async def scene() -> None:
        hub = TrackHub(asyncio.get_running_loop(), 4)
        assert hub.subscribers("door") == 0
        hub.publish("door", message(1))
        hub.close_stream("door")
        await asyncio.sleep(0)

    run(scene())


def test_messages_of_another_thread_come_in_order_and_before_the_goodbye() -> None:
    async def scene() -> None:
        hub = TrackHub(asyncio.get_running_loop(), 1000)
        subscriptions = [hub.subscribe("door"), hub.subscribe("door")]
        thread = Thread(target=lambda: [hub.publish("door", message(i)) for i in range(500)])
        thread.start()
        await asyncio.to_thread(thread.join)
        hub.close()
        for subscription in subscriptions:
            taken, closed = await take_all(subscription)
            assert [one["seq"] for one in taken] == list(range(500))
            assert closed.code == 1001

    run(scene())


def test_slow_subscriber_loses_the_oldest_and_is_told_how_many() -> None:
    async def scene() -> None:
        hub = TrackHub(asyncio.get_running_loop(), 3)
        slow, fast = hub.subscribe("door"), hub.subscribe("door")
        for i in range(10):
            hub.publish("door", message(i))
            await asyncio.sleep(0)
            assert json.loads(await fast.get()) == {"seq": i, "gap": 0}
        hub.publish("other", message(99))
        await asyncio.sleep(0)
        taken = [json.loads(await slow.get()) for _ in range(3)]
        assert taken == [{"seq": 7, "gap": 7}, {"seq": 8, "gap": 0}, {"seq": 9, "gap": 0}]

    run(scene())


def test_removed_stream_closes_only_its_own_subscribers() -> None:
    async def scene() -> None:
        hub = TrackHub(asyncio.get_running_loop(), 3)
        gone, stays = hub.subscribe("gone"), hub.subscribe("stays")
        hub.publish("gone", message(1))
        hub.close_stream("gone")
        taken, closed = await take_all(gone)
        assert (len(taken), closed.code) == (1, 1000)
        hub.publish("stays", message(2))
        assert json.loads(await stays.get())["seq"] == 2

    run(scene())


def test_who_comes_after_the_end_is_sent_away() -> None:
    async def scene() -> None:
        hub = TrackHub(asyncio.get_running_loop(), 3)
        hub.close()
        with pytest.raises(HubClosed) as closed:
            await hub.subscribe("door").get()
        assert closed.value.code == 1001

    run(scene())


def test_drained_waits_for_the_last_subscriber_but_not_for_ever() -> None:
    async def scene() -> None:
        hub = TrackHub(asyncio.get_running_loop(), 3)
        await hub.drained(60)
        subscription = hub.subscribe("door")
        hub.close()
        await hub.drained(0.01)
        waiting = asyncio.create_task(hub.drained(60))
        await asyncio.sleep(0)
        assert not waiting.done()
        hub.unsubscribe("door", subscription)
        await waiting

    run(scene())
