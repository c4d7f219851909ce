"""TrackHub: order, bounds, gaps, resuming and goodbyes."""

import asyncio
import json
from collections.abc import Coroutine
from threading import Thread
from typing import Any

import pytest

from service.tracks.hub import HubClosed, HubSettings, Subscription, TrackHub
from service.tracks.messages import Published
from service.tracks.views import View


def message(seq: int, stream_id: str = "door") -> Published:
    body = {"stream_id": stream_id, "seq": seq, "tracks": [], "events": [], "gap": 0}
    return Published(stream_id, seq, 0.1 * seq, json.dumps(body, separators=(",", ":")).encode())


def make_hub(queue: int = 4, history: int = 1000, history_bytes: int = 1_000_000) -> TrackHub:
    return TrackHub(asyncio.get_running_loop(), HubSettings(queue, history, history_bytes))


async def publish(hub: TrackHub, *messages: Published) -> None:
    for one in messages:
        hub.publish(one)
    await asyncio.sleep(0)


async def take(subscription: Subscription, count: int) -> list[tuple[int, int]]:
    """(seq, gap) of the next messages."""
    bodies = [json.loads((await subscription.get()).encoded) for _ in range(count)]
    return [(body["seq"], body["gap"]) for body in bodies]


async def take_all(subscription: Subscription) -> tuple[list[int], HubClosed]:
    """Everything until the goodbye."""
    taken = []
    while True:
        try:
            taken.append((await subscription.get()).seq)
        except HubClosed as closed:
            return taken, closed


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 10))


def test_stream_nobody_follows_has_no_subscribers_and_takes_messages() -> None:
    async def scene() -> None:
        hub = make_hub()
        assert hub.subscribers("door") == 0
        await publish(hub, message(1))
        hub.close_stream("door")
        await asyncio.sleep(0)

    run(scene())


def test_messages_of_another_thread_come_in_order_and_before_the_goodbye() -> None:
    async def scene() -> None:
        hub = make_hub(1000)
        subscriptions = [hub.subscribe(["door"]), hub.subscribe(["door"])]
        thread = Thread(target=lambda: [hub.publish(message(i)) for i in range(1, 501)])
        thread.start()
        await asyncio.to_thread(thread.join)
        hub.close()
        for subscription in subscriptions:
            taken, closed = await take_all(subscription)
            assert taken == list(range(1, 501))
            assert closed.code == 1001

    run(scene())


def test_slow_subscriber_loses_the_oldest_and_is_told_how_many() -> None:
    async def scene() -> None:
        hub = make_hub(3)
        slow, fast = hub.subscribe(["door"]), hub.subscribe(["door"])
        for i in range(1, 11):
            await publish(hub, message(i))
            assert await take(fast, 1) == [(i, 0)]
        await publish(hub, message(99, "other"))
        assert (slow.queued, slow.dropped, fast.dropped) == (3, 7, 0)
        assert (hub.lost("door"), hub.lost("other"), hub.lost("nobody")) == (7, 0, 0)
        assert await take(slow, 3) == [(8, 7), (9, 0), (10, 0)]

    run(scene())


def test_gap_counts_the_losses_of_each_stream_for_itself() -> None:
    async def scene() -> None:
        hub = make_hub(2)
        both = hub.subscribe(["a", "b"])
        await publish(hub, message(1, "a"), message(1, "b"), message(2, "b"), message(3, "b"), message(2, "a"))
        got = [json.loads((await both.get()).encoded) for _ in range(2)]
        assert [(one["stream_id"], one["seq"], one["gap"]) for one in got] == [("b", 3, 2), ("a", 2, 1)]

    run(scene())


def test_subscriber_takes_all_that_waits_at_once() -> None:
    async def scene() -> None:
        hub = make_hub(2)
        subscription = hub.subscribe(["door"])
        await publish(hub, *map(message, range(1, 6)))
        assert [one.seq for one in await subscription.get_batch(9)] == [4, 5]
        await publish(hub, message(6))
        assert [one.seq for one in await subscription.get_batch(9)] == [6]

    run(scene())


def test_view_is_made_once_for_all_who_share_it() -> None:
    async def scene() -> None:
        hub = make_hub()
        same = [hub.subscribe(["door"], View(fields=frozenset({"events"}))) for _ in range(3)]
        whole = hub.subscribe(["door"])
        await publish(hub, message(1))
        got = [await one.get() for one in same]
        assert got[0] is got[1] is got[2]
        assert json.loads(got[0].encoded) == {"stream_id": "door", "seq": 1, "events": [], "gap": 0}
        assert await whole.get() == message(1)

    run(scene())


def test_who_comes_back_gets_what_was_missed_and_then_what_comes() -> None:
    async def scene() -> None:
        hub = make_hub(2)
        await publish(hub, *map(message, range(1, 11)))
        resumed = hub.subscribe(["door"], from_seq=4)
        assert await take(resumed, 5) == [(seq, 0) for seq in range(4, 9)]
        await publish(hub, message(11))  # while two are still to be read again
        assert await take(resumed, 3) == [(9, 0), (10, 0), (11, 0)]
        waiting = asyncio.create_task(take(resumed, 1))
        await asyncio.sleep(0)
        await publish(hub, message(12))
        assert await waiting == [(12, 0)]
        await publish(hub, *map(message, range(13, 17)))  # live now, with the bounds of the queue
        assert await take(resumed, 2) == [(15, 2), (16, 0)]

    run(scene())


def test_what_fell_out_of_the_history_is_told_as_a_gap() -> None:
    async def scene() -> None:
        hub = make_hub(2, history=3)
        await publish(hub, *map(message, range(1, 11)))
        assert await take(hub.subscribe(["door"], from_seq=4), 3) == [(8, 4), (9, 0), (10, 0)]
        slow = hub.subscribe(["door"], from_seq=9)
        await publish(hub, *map(message, range(11, 15)))
        assert await take(slow, 3) == [(12, 3), (13, 0), (14, 0)]

    run(scene())


@pytest.mark.parametrize("first_messages", [0, 1, 3])
def test_number_of_an_earlier_run_gets_all_of_this_one(first_messages: int) -> None:
    async def scene() -> None:
        hub = make_hub()
        await publish(hub, *map(message, range(1, first_messages + 1)))
        resumed = hub.subscribe(["door"], from_seq=5000)
        await publish(hub, message(first_messages + 1))
        assert await take(resumed, first_messages + 1) == [(seq, 0) for seq in range(1, first_messages + 2)]

    run(scene())


def test_follower_gets_streams_that_come_later_and_stays_when_they_go() -> None:
    async def scene() -> None:
        hub = make_hub(10)
        await publish(hub, message(1, "early"))
        follower = hub.follow(lambda stream_id: stream_id != "secret")
        await publish(hub, message(2, "early"), message(1, "late"), message(1, "secret"))
        hub.close_stream("early")
        await publish(hub, message(2, "late"), message(1, "early"))
        got = [await follower.get() for _ in range(4)]
        assert [(one.stream_id, one.seq) for one in got] == [("early", 2), ("late", 1), ("late", 2), ("early", 1)]
        assert hub.subscribers("late") == 1
        hub.unsubscribe(follower)
        assert hub.subscribers("late") == 0

    run(scene())


def test_parts_of_the_service_do_not_count_as_subscribers() -> None:
    async def scene() -> None:
        hub = make_hub()
        hub.follow(lambda _: True, queue=100, counted=False)
        await publish(hub, message(1))
        assert hub.subscribers("door") == 0

    run(scene())


def test_removed_stream_closes_only_subscribers_who_have_no_other() -> None:
    async def scene() -> None:
        hub = make_hub()
        gone, both, stays = hub.subscribe(["gone"]), hub.subscribe(["gone", "stays"]), hub.subscribe(["stays"])
        hub.publish(message(1, "gone"))
        hub.close_stream("gone")
        taken, closed = await take_all(gone)
        assert (len(taken), closed.code) == (1, 1000)
        await publish(hub, message(2, "stays"))
        assert await take(stays, 1) == [(2, 0)]
        assert await take(both, 2) == [(1, 0), (2, 0)]
        for one in (gone, both, stays, gone):
            hub.unsubscribe(one)

    run(scene())


def test_stream_added_again_has_no_history_of_the_old_one() -> None:
    async def scene() -> None:
        hub = make_hub()
        await publish(hub, *map(message, range(1, 4)))
        hub.close_stream("door")
        await publish(hub, message(1))
        assert [one.seq for one in hub.history("door").last(10)] == [1]

    run(scene())


def test_who_comes_after_the_end_is_sent_away() -> None:
    async def scene() -> None:
        hub = make_hub()
        hub.close()
        for late in (hub.subscribe(["door"]), hub.follow(lambda _: True)):
            with pytest.raises(HubClosed) as closed:
                await late.get()
            assert closed.value.code == 1001

    run(scene())


def test_drained_waits_for_the_last_subscriber_but_not_for_ever() -> None:
    async def scene() -> None:
        hub = make_hub()
        await hub.drained(60)
        subscription = hub.subscribe(["door"])
        hub.close()
        await hub.drained(0.01)
        waiting = asyncio.create_task(hub.drained(60))
        await asyncio.sleep(0)
        assert not waiting.done()
        hub.unsubscribe(subscription)
        await waiting

    run(scene())
