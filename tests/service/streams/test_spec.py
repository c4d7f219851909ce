"""A stream's specification: from a request, to the store and back, changed by patches."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.pipeline.config import LaneSettings
from service.streams.schema import NewStream, StreamPatch
from service.streams.spec import StreamSpec

DEFAULTS = LaneSettings(k=5, mode="naive", threshold=0.3)
SECRET = "ge/heim:wort"  # noqa: S105
LINE = {"id": "door", "type": "line", "points": [[0.1, 0.5], [0.9, 0.5]]}

bodies = st.fixed_dictionaries(
    {"url": st.text(max_size=40)},
    optional={
        "id": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
        "name": st.text(min_size=1, max_size=100),
        "k": st.integers(1, 100),
        "mode": st.sampled_from(["atttrack", "teacher", "student"]),
        "threshold": st.floats(0, 1),
        "zones": st.sampled_from([[], [LINE]]),
        "identity": st.sampled_from(["keep", "reset"]),
        "credentials": st.builds(
            lambda name, password: {"username": name, "password": password},
            st.text(min_size=1, max_size=20),
            st.text(max_size=20),
        ),
    },
)


def spec(**body: object) -> StreamSpec:
    return StreamSpec.from_request(NewStream.model_validate({"url": "rtsp://a/b", **body}), DEFAULTS)


def test_url_alone_takes_all_else_from_the_settings() -> None:
    made = spec()
    assert (made.lane, made.zones) == (DEFAULTS, ())
    assert made.id == made.name
    assert made.id != spec().id


@given(bodies)
def test_store_gives_back_what_it_got(body: dict[str, object]) -> None:
    new = NewStream.model_validate(body)
    made = StreamSpec.from_request(new, DEFAULTS)
    assert StreamSpec.from_document(made.id, json.loads(json.dumps(made.document()))) == made
    assert made.differences(new) == []


def test_same_idempotency_key_makes_the_same_id() -> None:
    new = NewStream(url="rtsp://a/b")
    ids = [StreamSpec.from_request(new, DEFAULTS, key).id for key in ("a", "a", "b", "ü" * 255)]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    assert NewStream(url="x", id=ids[3]).id == ids[3]
    assert StreamSpec.from_request(NewStream(url="x", id="mine"), DEFAULTS, "a").id == "mine"


def test_patch_leaves_what_it_does_not_name_and_null_is_the_default() -> None:
    before = spec(id="a", name="Door", k=9, mode="teacher", threshold=0.9, zones=[LINE], identity="reset")
    assert before.changed(StreamPatch(), DEFAULTS) == before
    assert before.changed(StreamPatch(k=2), DEFAULTS).lane == replace(before.lane, k=2)
    nothing = {"name": None, "k": None, "mode": None, "threshold": None, "zones": None, "identity": None}
    assert before.changed(StreamPatch.model_validate(nothing), DEFAULTS) == spec(id="a")
    locked = before.changed(StreamPatch.model_validate({"credentials": {"username": "u", "password": "p"}}), DEFAULTS)
    assert locked.credentials is not None
    assert locked.changed(StreamPatch(credentials=None), DEFAULTS) == before


@pytest.mark.parametrize(
    ("given_again", "differing"),
    [
        ({}, []),
        ({"url": "rtsp://a/c"}, ["url"]),
        ({"k": 5, "mode": "naive", "name": None}, []),
        ({"k": 6, "identity": "reset", "threshold": 0.3}, ["identity", "k"]),
        ({"zones": [LINE]}, ["zones"]),
        ({"credentials": {"username": "u", "password": SECRET}}, []),
        ({"credentials": {"username": "u", "password": "other"}}, ["credentials"]),
    ],
)
def test_only_what_a_request_names_can_differ(given_again: dict[str, object], differing: list[str]) -> None:
    known = spec(id="a", credentials={"username": "u", "password": SECRET})
    assert known.differences(NewStream.model_validate({"url": "rtsp://a/b", "id": "a", **given_again})) == differing


def test_secrets_are_not_in_repr() -> None:
    made = spec(url=f"rtsp://u:{SECRET}@a/b", credentials={"username": "u", "password": SECRET})
    assert SECRET not in repr(made)


def test_document_of_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="url"):
        StreamSpec.from_document("a", {"k": 1})
