"""Table: a copy of a bucket that old news does not turn back."""

import json
from itertools import permutations

from service.cluster.claims import Lease
from service.cluster.table import Table

DOCUMENT = json.dumps({"created_at": 1.0}).encode()


def test_nothing_is_known_before_it_is_read() -> None:
    table = Table()
    assert (table.stream_ids(), table.lease("a"), table.spec("a"), table.row("lease", "a").revision) == (
        set(),
        None,
        None,
        0,
    )


def test_highest_revision_wins_in_any_order() -> None:
    writes = [(1, b'{"owner": "n/1"}'), (2, b'{"owner": ""}'), (3, None), (4, b'{"owner": "m/1"}')]
    for order in permutations(writes):
        table = Table()
        for revision, payload in order:
            table.apply("lease", "a", revision, payload)
        assert table.lease("a") == Lease("m/1", 4)


def test_deleted_key_keeps_its_revision() -> None:
    table = Table()
    table.apply("spec", "a", 1, DOCUMENT)
    table.apply("spec", "a", 2, None)
    assert table.stream_ids() == set()
    assert table.row("spec", "a").revision == 2


def test_whole_reading_drops_what_is_gone_but_not_what_is_newer() -> None:
    changed = []
    table = Table(lambda kind, stream_id: changed.append(stream_id))
    for revision, one in enumerate("abc", start=1):
        table.apply("spec", one, revision, DOCUMENT)
    changed.clear()
    table.finish("spec", {"a"}, up_to=2)
    assert table.stream_ids() == {"a", "c"}
    assert changed == ["b"]


def test_streams_come_oldest_first() -> None:
    table = Table()
    for revision, (one, at) in enumerate((("late", 9.0), ("early", 3.0)), start=1):
        table.apply("spec", one, revision, json.dumps({"created_at": at}).encode())
    assert list(table.specs()) == ["early", "late"]


def test_what_is_no_json_takes_part_in_nothing() -> None:
    table = Table()
    table.apply("spec", "a", 1, b"{")
    table.apply("spec", "b", 2, b"[]")
    assert table.stream_ids() == set()
