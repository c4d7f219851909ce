"""Control: many nodes in one process, against a real server."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest

from service.cluster.bucket import Bucket
from service.cluster.bus import Bus, BusAddress, WriteRefused
from service.cluster.control import Control
from service.cluster.counts import LeasedCounts
from service.cluster.subjects import key
from service.store import StoreError
from tests.service.cluster.fake_node import FakeRunner
from tests.service.cluster.harness import MAIN, Loop, add_streams, url_of
from tests.service.sinks.brokers import Broker
from tests.service.waiting import wait_until

PATIENCE_S = 40.0
Make = Callable[..., tuple[Control, FakeRunner]]


@pytest.fixture
def make(nats: Broker) -> Iterator[Make]:
    """Starts nodes, all of them ended with the test."""
    made: list[Control] = []

    def start(name: str, capacity: int = 100) -> tuple[Control, FakeRunner]:
        counts = LeasedCounts()
        runner = FakeRunner(counts, capacity)
        control = Control(BusAddress.parse([url_of(nats)], name), "main", name, runner, counts)
        control.start()
        made.append(control)
        return control, runner

    yield start
    for control in made:
        control.drain()  # so that nobody takes what the others give back
    for control in made:
        control.leave()


def test_twenty_nodes_share_two_hundred_streams_and_none_is_run_twice(bus: Bus, loop: Loop, make: Make) -> None:
    loop.do(add_streams(bus, [f"s{i}" for i in range(200)]))
    nodes = [make(f"n{i}") for i in range(20)]

    def placed() -> bool:
        return sum(len(runner.running) for _, runner in nodes) == 200

    wait_until(placed, PATIENCE_S, "all streams to be placed")
    runs = Counter(one for _, runner in nodes for one in runner.adopted)
    assert max(runs.values()) == 1, "a run has one owner"
    assert max(Counter(one for _, runner in nodes for one in runner.running).values()) == 1


def test_node_without_room_leaves_the_rest(bus: Bus, loop: Loop, make: Make) -> None:
    loop.do(add_streams(bus, ["a", "b", "c"]))
    _, runner = make("small", capacity=2)
    wait_until(lambda: len(runner.running) == 2, PATIENCE_S, "what fits")
    time.sleep(0.6)
    assert len(runner.running) == 2
    _, more = make("other")
    wait_until(lambda: len(more.running) >= 1, PATIENCE_S, "the rest")


def test_drained_node_leaves_its_streams_to_others_and_takes_them_back(bus: Bus, loop: Loop, make: Make) -> None:
    loop.do(add_streams(bus, ["a", "b"]))
    (one, mine), (_, theirs) = make("one"), make("two")
    wait_until(lambda: len(mine.running) + len(theirs.running) == 2, PATIENCE_S, "both to be placed")
    one.drain()
    wait_until(lambda: not mine.running and len(theirs.running) == 2, PATIENCE_S, "the other to have them")
    one.drain(False)
    wait_until(lambda: len(mine.running) == 1, PATIENCE_S, "one to come back")


def test_removed_stream_is_stopped_and_nothing_is_left_of_it(bus: Bus, loop: Loop, make: Make) -> None:
    loop.do(add_streams(bus, ["a"]))
    _, runner = make("one")
    wait_until(lambda: "a" in runner.running, PATIENCE_S, "it to run")
    runner.tick()
    bucket = Bucket(bus, MAIN.bucket)
    loop.do(bucket.delete(key("spec", "a")))
    wait_until(lambda: "a" not in runner.running, PATIENCE_S, "it to stop")
    wait_until(lambda: loop.do(bucket.read(key("lease", "a"))).payload is None, PATIENCE_S, "its lease to go")
    assert loop.do(bucket.read(key("counts", "a"))).payload is None
    loop.do(_again(bucket))
    wait_until(lambda: "a" in runner.running, PATIENCE_S, "the same id anew")
    assert runner.counts.counts("a") == {}


def test_stream_removed_and_posted_anew_at_once_has_nothing_of_the_one_before(bus: Bus, loop: Loop, make: Make) -> None:
    loop.do(add_streams(bus, ["a"]))
    _, runner = make("one")
    wait_until(lambda: "a" in runner.running, PATIENCE_S, "it to run")
    runner.tick()
    bucket = Bucket(bus, MAIN.bucket)
    wait_until(lambda: loop.do(bucket.read(key("counts", "a"))).payload == b'{"n": 1}', PATIENCE_S, "its counts")

    async def post_anew() -> None:
        await bucket.delete(key("spec", "a"))
        await _again(bucket)

    loop.do(post_anew())
    wait_until(lambda: len(runner.adopted) == 2, PATIENCE_S, "the new one to run")
    (_, before), (_, after) = runner.adopted
    assert (runner.removed, runner.changed) == (["a"], [])
    assert after > before, "its messages come after those of the one before"
    assert runner.counts.counts("a") == {}


async def _again(bucket: Bucket) -> None:
    before = await bucket.read(key("spec", "a"))
    document = {
        "created_at": 1.0, "secrets": {}, "digests": {"url": "", "credentials": ""}, "salt": "",
        "has_credentials": False, "name": "a", "url": "synthetic://",
    }  # fmt: skip
    await bucket.put(key("spec", "a"), json.dumps(document).encode(), before.revision)


def test_counts_are_refused_after_a_takeover_and_whoever_waits_for_them_is_told(
    bus: Bus, loop: Loop, make: Make
) -> None:
    loop.do(add_streams(bus, ["a"]))
    _, runner = make("one")
    wait_until(lambda: "a" in runner.running, PATIENCE_S, "it to run")
    runner.counts.keep_counts("a", {"n": 7}).result(10)
    bucket = Bucket(bus, MAIN.bucket)
    assert json.loads(loop.do(bucket.read(key("counts", "a"))).payload) == {"n": 7}

    async def depose() -> "Future[None]":
        lease = await bucket.read(key("lease", "a"))
        await bucket.put(key("lease", "a"), b'{"owner": "other/1"}', lease.revision)
        return runner.counts.keep_counts("a", {"n": 8})

    late = loop.do(depose())
    try:
        late.result(10)
    except (StoreError, TimeoutError):
        pass
    assert json.loads(loop.do(bucket.read(key("counts", "a"))).payload) == {"n": 7}
    wait_until(lambda: "a" not in runner.running, PATIENCE_S, "it to be released")


def test_write_beside_the_counts_costs_none_of_them(bus: Bus, loop: Loop, make: Make) -> None:
    """A refusal alone does not say that the lease is lost: it may be one of a write that is under way."""
    loop.do(add_streams(bus, ["a"]))
    control, runner = make("one")
    wait_until(lambda: "a" in runner.running, PATIENCE_S, "it to run")
    write, refusals = control._bus.write, [0]

    async def refusing(subject: str, payload: bytes, *more: object, **named: object) -> int:
        if ".counts." in subject and refusals[0] < 3:
            refusals[0] += 1
            raise WriteRefused(10071, "wrong last sequence")
        return await write(subject, payload, *more, **named)

    control._bus.write = refusing
    runner.counts.keep_counts("a", {"n": 9}).result(10)
    assert refusals[0] == 3
    assert "a" in runner.running


def test_counts_go_on_where_the_owner_before_has_left_them(bus: Bus, loop: Loop, make: Make) -> None:
    loop.do(add_streams(bus, ["a"]))
    one, runner = make("one")
    wait_until(lambda: "a" in runner.running, PATIENCE_S, "it to run")
    for _ in range(5):
        runner.tick()
    one.leave()
    assert not runner.running
    _, others = make("two")
    wait_until(lambda: "a" in others.running, PATIENCE_S, "another one to take it")
    assert others.counts.counts("a") == {"n": 5}


def test_stream_that_cannot_be_read_disturbs_no_other_and_runs_when_it_is_mended(
    bus: Bus, loop: Loop, make: Make
) -> None:
    bucket = Bucket(bus, MAIN.bucket)
    loop.do(bucket.put(key("spec", "a"), b"{}", 0))
    loop.do(add_streams(bus, ["b"]))
    control, runner = make("one")
    wait_until(lambda: "b" in runner.running, PATIENCE_S, "the other one to run")
    wait_until(lambda: "a" in control.running, PATIENCE_S, "it to be taken")
    assert "a" not in runner.running
    loop.do(_again(bucket))
    wait_until(lambda: "a" in runner.running, PATIENCE_S, "it to run")
