"""Which classes count, by number or by name."""

from pathlib import Path

import pytest
from onnx import ModelProto

from export.adopt.classes import choose
from export.adopt.detector import RGB_TO_ONE, AdoptError, Network
from export.adopt.layout import Layout, Part


def network(names: dict[int, str] | None = None) -> Network:
    return Network(Path("d.onnx"), ModelProto(), "images", 64, 64, 1, False, names=names or {})


def layout(classes: int, name: str = "YOLOv8") -> Layout:
    return Layout(name, Part("out"), Part("out"), RGB_TO_ONE, classes=classes)


@pytest.mark.parametrize(
    ("classes", "name", "wanted", "numbers"),
    [
        (1, "YOLOv8", ["person"], [0]),
        (1, "YOLOv8", ["forklift"], [0]),
        (80, "YOLOv8", ["person"], [0]),
        (80, "YOLOv8", ["Traffic light", "toothbrush"], [9, 79]),
        (91, "DETR", ["person"], [1]),
        (92, "DETR", ["stop sign", "toothbrush"], [13, 90]),
        (20, "YOLOv5", ["person"], [14]),
        (21, "SSD", ["person"], [15]),
        (0, "SSD", ["person"], [1]),
        (0, "OpenVINO", ["person"], [0]),
        (7, "YOLOv8", ["3", "6"], [3, 6]),
    ],
)
def test_names_are_those_of_well_known_data_sets(
    classes: int, name: str, wanted: list[str], numbers: list[int]
) -> None:
    assert choose(network(), layout(classes, name), wanted)[0] == numbers


def test_names_in_the_file_come_first() -> None:
    found, why = choose(network({0: "pallet", 1: "Fork-Lift"}), layout(2), ["forklift"])
    assert found == [1] and why == "names in the file"


def test_a_name_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(AdoptError, match=r"no class 'cow'; it has 0 pallet, 1 forklift"):
        choose(network({0: "pallet", 1: "forklift"}), layout(2), ["cow"])
