"""Which classes count, by number or by name."""

from pathlib import Path

import pytest
from onnx import ModelProto

from engines.signature import SignatureError
from export.adopt.classes import choose
from export.adopt.detector import RGB_TO_ONE, DetectorNetwork
from export.adopt.errors import AdoptError
from export.adopt.layout import Layout, Part


def network(names: dict[int, str] | None = None) -> DetectorNetwork:
    return DetectorNetwork(Path("d.onnx"), ModelProto(), "images", 64, 64, 1, False, names=names or {})


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
    chosen = choose(network(), layout(classes, name), wanted)
    assert [*chosen.numbers] == numbers
    assert len(chosen.names) == len(wanted)


def test_names_in_the_file_come_first() -> None:
    chosen = choose(network({0: "pallet", 1: "Fork-Lift"}), layout(2), ["forklift"])
    assert (chosen.names, chosen.numbers, chosen.why) == (("forklift",), (1,), "names in the file")


@pytest.mark.parametrize(
    ("wanted", "names", "numbers", "places"),
    [
        (["car", "person"], ("car", "person"), (2, 0), (0, 1)),
        (["car,person"], ("car", "person"), (2, 0), (0, 1)),
        (["person", "vehicle=car,truck,5"], ("person", "vehicle"), (0, 2, 7, 5), (0, 1, 1, 1)),
        (["7", "People=person"], ("truck", "person"), (7, 0), (0, 1)),
        (["car", "car=truck"], ("car",), (2, 7), (0, 0)),
    ],
)
def test_classes_of_the_pair_are_one_or_several_of_the_detector(
    wanted: list[str], names: tuple[str, ...], numbers: tuple[int, ...], places: tuple[int, ...]
) -> None:
    chosen = choose(network(), layout(80), wanted)
    assert (chosen.names, chosen.numbers, chosen.places) == (names, numbers, places)


@pytest.mark.parametrize(
    ("in_file", "wanted", "names"),
    [
        ({}, None, ("person",)),
        ({0: "forklift"}, None, ("forklift",)),
        ({0: "Pedestrian"}, None, ("person",)),
        ({0: "forklift"}, ["truck"], ("truck",)),
        ({}, ["0"], ("object",)),
    ],
)
def test_an_only_class_has_the_name_that_was_said_or_that_of_the_file(
    in_file: dict[int, str], wanted: list[str] | None, names: tuple[str, ...]
) -> None:
    chosen = choose(network(in_file), layout(1), wanted)
    assert (chosen.names, chosen.numbers) == (names, (0,))


def test_two_classes_of_a_detector_with_one_are_refused() -> None:
    with pytest.raises(AdoptError, match="has one class, 2 were asked for"):
        choose(network(), layout(1), ["car", "person"])


@pytest.mark.parametrize("word", ["=car", f"{'x' * 101}=car", "a\tb=car"])
def test_a_name_that_nobody_could_read_is_refused(word: str) -> None:
    with pytest.raises(SignatureError, match="a class's name should have 1 to 100 letters"):
        choose(network(), layout(80), [word])


def test_a_name_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(AdoptError, match=r"no class 'cow'; it has 0 pallet, 1 forklift"):
        choose(network({0: "pallet", 1: "forklift"}), layout(2), ["cow"])
