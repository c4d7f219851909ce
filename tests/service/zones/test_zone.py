"""Zones as the API takes them."""

import pytest
from pydantic import TypeAdapter, ValidationError

from service.zones.zone import MOST_CORNERS, MOST_ZONES, Zones

ADAPTER: TypeAdapter[Zones] = TypeAdapter(Zones)
SQUARE = {"id": "door", "type": "polygon", "points": [[0, 0], [1, 0], [1, 1]]}
LINE = {"id": "line", "type": "line", "points": [[0, 0], [1, 1]]}


def test_no_zones_are_zones() -> None:
    assert ADAPTER.validate_python([]) == ()


def test_zones_survive_json_and_equal_ones_are_equal() -> None:
    zones = ADAPTER.validate_python([SQUARE, LINE])
    assert ADAPTER.validate_json(ADAPTER.dump_json(zones)) == zones
    assert hash(zones) == hash(ADAPTER.validate_python([SQUARE, LINE]))
    assert (zones[0].anchor, zones[0].name) == ("foot", "")


def test_what_takes_all_classes_says_nothing_of_them() -> None:
    zones = ADAPTER.validate_python([SQUARE, {**LINE, "classes": ["car", "truck"]}, {**LINE, "id": "b", "classes": []}])
    assert [zone.classes for zone in zones] == [(), ("car", "truck"), ()]
    assert ["classes" in zone for zone in ADAPTER.dump_python(zones, mode="json")] == [False, True, False]
    assert ADAPTER.validate_json(ADAPTER.dump_json(zones)) == zones
    assert hash(zones) == hash(ADAPTER.validate_json(ADAPTER.dump_json(zones)))


@pytest.mark.parametrize(
    ("zones", "message"),
    [
        ([{**SQUARE, "points": [[0, 0], [1, 0]]}], "at least 3 items"),
        ([{**SQUARE, "points": [[0, 0], [1, 0], [1, 1.01]]}], "less than or equal to 1"),
        ([{**SQUARE, "points": [[0, 0], [1, 0], [-0.1, 1]]}], "greater than or equal to 0"),
        ([{**SQUARE, "points": [[0, 0], [1, 0], [float("nan"), 1]]}], "finite"),
        ([{**SQUARE, "points": [[0, 0], [1, 1], [1, 0], [0, 1]]}], "zone 'door': .* cross or touch"),
        ([{**SQUARE, "points": [[i / 100, (i % 2) / 2] for i in range(MOST_CORNERS + 1)]}], "at most 64 items"),
        ([{**LINE, "points": [[0, 0], [0, 0]]}], "zone 'line': a line needs two different points"),
        ([{**LINE, "points": [[0, 0], [1, 1], [1, 0]]}], "at most 2 items"),
        ([SQUARE, {**LINE, "id": "door"}], "two zones have the id 'door'"),
        ([{**SQUARE, "id": "a/b"}], "match pattern"),
        ([{**SQUARE, "type": "circle"}], "'polygon' or 'line', got another one"),
        ([{"id": "door", "points": [[0, 0], [1, 0], [1, 1]]}], "'polygon' or 'line', got none"),
        ([{**SQUARE, "colour": "red"}], "Extra inputs"),
        ([{**SQUARE, "classes": [""]}], "at least 1 character"),
        ([{**SQUARE, "classes": ["x" * 101]}], "at most 100 characters"),
        ([{**SQUARE, "classes": ["car"] * 101}], "at most 100 items"),
        ([{**LINE, "id": f"{i}"} for i in range(MOST_ZONES + 1)], "at most 64 items"),
    ],
)
def test_zones_that_cannot_be_are_refused(zones: list[dict[str, object]], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ADAPTER.validate_python(zones)
