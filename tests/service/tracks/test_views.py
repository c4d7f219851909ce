"""View and Viewer: zones, fields and rates."""

import json
import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.tracks.messages import Published
from service.tracks.views import EVERYTHING, View, Viewer

TRACKS = [{"id": 1, "uid": "r-1-1", "zones": ["hall"]}, {"id": 2, "uid": "r-1-2", "zones": ["hall", "door"]}]
EVENTS = [
    {"type": "discontinuity", "epoch": 2},
    {"type": "new", "id": 2},
    {"type": "enter", "id": 2, "zone": "door"},
    {"type": "cross", "id": 1, "zone": "line"},
]


def message(seq: int = 1, ts: float = 0.0, events: list[dict[str, Any]] | None = None, **more: Any) -> Published:
    body = {"schema": "tracks/1", "stream_id": "a", "seq": seq, "k": 6, "tracks": [], "events": events or [], "gap": 0}
    return Published("a", seq, ts, json.dumps(body | more, separators=(",", ":")).encode())


def shown(view: View, published: Published) -> dict[str, Any]:
    result = Viewer(view).show(published)
    assert result is not None
    body: dict[str, Any] = json.loads(result.encoded)
    return body


def test_view_of_everything_touches_nothing() -> None:
    published = message(tracks=TRACKS, events=EVENTS)
    assert View.parse(None, None, None) == EVERYTHING
    assert Viewer(EVERYTHING).show(published) is published


def test_zones_keep_who_is_inside_and_what_happened_there() -> None:
    body = shown(View.parse("door,line", None, None), message(tracks=TRACKS, events=EVENTS))
    assert [track["id"] for track in body["tracks"]] == [2]
    assert [event["type"] for event in body["events"]] == ["discontinuity", "enter", "cross"]
    assert shown(View.parse("", None, None), message(tracks=TRACKS))["tracks"] == []


def test_classes_keep_their_tracks_and_events() -> None:
    tracks = [{"id": 1, "class": "person", "zones": []}, {"id": 2, "class": "car", "zones": ["hall"]}]
    events = [EVENTS[0], {"type": "new", "id": 2, "class": "car"}, {"type": "new", "id": 1, "class": "person"}]
    for classes, ids in (("car", [2]), ("person,car", [1, 2]), ("cow", [])):
        body = shown(View.parse(None, None, None, classes), message(tracks=tracks, events=events))
        assert [track["id"] for track in body["tracks"]] == ids
        assert {event["id"] for event in body["events"] if event["type"] == "new"} == {*ids}
        assert body["events"][0]["type"] == "discontinuity"
    of_people = [EVENTS[0], {"type": "new", "id": 1}]  # where people alone are seen, events do not say so
    assert shown(View.parse(None, None, None, "person"), message(events=of_people))["events"] == of_people


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("", {}),
        ("k", {"k": 6}),
        ("events", {"events": EVENTS}),
        ("id", {"tracks": [{"id": 1}, {"id": 2}]}),
        ("tracks", {"tracks": TRACKS}),
        ("id,k,seq", {"tracks": [{"id": 1}, {"id": 2}], "k": 6}),
    ],
)
def test_fields_leave_out_the_rest(fields: str, expected: dict[str, Any]) -> None:
    body = shown(View.parse(None, fields, None), message(tracks=TRACKS, events=EVENTS))
    assert body == {"schema": "tracks/1", "stream_id": "a", "seq": 1, "gap": 0} | expected


def test_every_view_leaves_room_for_the_gap() -> None:
    for view in (View(frozenset()), View(fields=frozenset()), View(max_rate=1.0), View(fields=frozenset({"events"}))):
        result = Viewer(view).show(message(tracks=TRACKS, events=EVENTS))
        assert result is not None
        assert json.loads(result.with_gap(7).encoded)["gap"] == 7


@pytest.mark.parametrize("rate", [0.0, -1.0, 1e-9, math.nan, math.inf, 1e9])
def test_impossible_rates_are_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="max_rate"):
        View.parse(None, None, rate)


def test_field_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="'boxes'; known fields: age, bbox, class"):
        View.parse(None, "id,boxes", None)


times = st.lists(st.floats(0, 100).map(lambda t: round(t, 3)), unique=True).map(sorted)


@given(times, st.floats(0.05, 50))
def test_rate_bounds_messages_and_no_event_is_lost(times_s: list[float], rate: float) -> None:
    messages = [message(i, t, [{"type": "new", "id": i}]) for i, t in enumerate(times_s, 1)]
    viewer = Viewer(View(max_rate=rate))
    sent = [json.loads(one.encoded) | {"ts": one.ts_capture} for m in messages if (one := viewer.show(m)) is not None]
    slots = [math.floor(one["ts"] * rate) for one in sent]
    assert all(slot < later for slot, later in pairwise(slots))
    assert slots == sorted({math.floor(t * rate) for t in times_s})
    told = [event["id"] for one in sent for event in one["events"]]
    assert told == list(range(1, (sent[-1]["seq"] if sent else 0) + 1))
