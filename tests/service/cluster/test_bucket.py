"""Bucket: what the server compares, and how a table comes from it."""

import asyncio
from typing import Any

import pytest

from service.cluster.bucket import Bucket, Entry, read_table, subscribe_table
from service.cluster.bus import Bus, WriteRefused
from service.cluster.claims import Lease
from service.cluster.subjects import key
from service.cluster.table import Table
from tests.service.cluster.harness import MAIN, Loop, add_streams, drop
from tests.service.waiting import wait_until


def test_key_that_there_never_was(bus: Bus, loop: Loop) -> None:
    assert loop.do(Bucket(bus, MAIN.bucket).read("spec.nothing")) == Entry(0, None)
    assert loop.do(Bucket(bus, MAIN.bucket).all("spec.>")) == {}


def test_write_at_another_revision_is_refused(bus: Bus, loop: Loop) -> None:
    bucket = Bucket(bus, MAIN.bucket)
    first = loop.do(bucket.put("lease.a", b"1", 0))
    for expected in (0, first + 5):
        with pytest.raises(WriteRefused) as refused:
            loop.do(bucket.put("lease.a", b"2", expected))
        assert refused.value.conflict
    assert loop.do(bucket.put("lease.a", b"2", first)) > first
    gone = loop.do(bucket.delete("lease.a"))
    assert loop.do(bucket.read("lease.a")) == Entry(gone, None)
    assert loop.do(bucket.put("lease.a", b"3", gone)) > gone


def test_counts_are_kept_under_their_lease_alone(bus: Bus, loop: Loop) -> None:
    bucket = Bucket(bus, MAIN.bucket)
    run = loop.do(bucket.put("lease.a", b"1", 0))
    loop.do(bucket.put("counts.a", b"5", lease=("lease.a", run)))
    loop.do(bucket.put("lease.a", b"2", run))
    with pytest.raises(WriteRefused) as refused:
        loop.do(bucket.put("counts.a", b"6", lease=("lease.a", run)))
    assert refused.value.conflict
    assert loop.do(bucket.read("counts.a")).payload == b"5"


def test_twenty_who_want_the_same_key_at_once(bus: Bus, loop: Loop) -> None:
    bucket = Bucket(bus, MAIN.bucket)

    async def race() -> int:
        async def one() -> bool:
            try:
                await bucket.put("lease.a", b"", 0)
            except WriteRefused:
                return False
            return True

        return sum(await asyncio.gather(*(one() for _ in range(20))))

    assert loop.do(race()) == 1


def test_table_of_many_pages_follows_what_is_written(bus: Bus, loop: Loop) -> None:
    ids = [f"cam.{i}" for i in range(2500)]
    loop.do(add_streams(bus, ids))
    table = Table()
    loop.do(read_table(Bucket(bus, MAIN.bucket), table))
    assert table.stream_ids() == set(ids)
    loop.do(subscribe_table(bus, MAIN, table))
    loop.do(Bucket(bus, MAIN.bucket).delete(key("spec", "cam.7")))
    wait_until(lambda: "cam.7" not in table.stream_ids(), 10, "the news")
    late = Table()
    loop.do(read_table(Bucket(bus, MAIN.bucket), late))
    assert late.stream_ids() == table.stream_ids()


def test_news_that_were_lost_are_found_by_reading_again(bus: Bus, loop: Loop) -> None:
    bucket, table = Bucket(bus, MAIN.bucket), Table()
    loop.do(add_streams(bus, ["gone", "stays"]))
    loop.do(bucket.put(key("lease", "stays"), b'{"owner": "a/1"}', 0))
    loop.do(read_table(bucket, table))
    loop.do(bucket.delete(key("spec", "gone")))
    loop.do(add_streams(bus, ["new"]))
    run = loop.do(bucket.put(key("lease", "stays"), b'{"owner": "b/1"}', table.row("lease", "stays").revision))
    assert table.stream_ids() == {"gone", "stays"}, "nobody told it"
    loop.do(read_table(bucket, table))
    assert table.stream_ids() == {"new", "stays"}
    assert table.lease("stays") == Lease("b/1", run)


def test_bucket_that_is_made_anew_gives_higher_revisions(bus: Bus, loop: Loop) -> None:
    bucket = Bucket(bus, MAIN.bucket)
    before = loop.do(bucket.put("lease.a", b"", 0))
    loop.do(drop(bucket))
    assert loop.do(bucket.create())
    assert not loop.do(bucket.create()), "it is there"
    assert loop.do(bucket.put("lease.a", b"", 0)) > before
    assert before < 2**53


def test_bucket_is_made_once_the_server_has_removed_what_was_deleted_before_it(
    bus: Bus, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, refused = bus.api, []

    async def still_removing(subject: str, *more: Any, **options: Any) -> dict[str, Any]:
        if ".CREATE." in subject and len(refused) < 2:
            refused.append(subject)
            raise WriteRefused(10049, "error creating store for stream")
        return await asked(subject, *more, **options)

    monkeypatch.setattr(bus, "api", still_removing)
    bucket = Bucket(bus, MAIN.bucket)
    loop.do(drop(bucket))
    assert loop.do(bucket.create())
    assert len(refused) == 2
    assert loop.do(bucket.put("lease.a", b"", 0))
