"""Which of a detector's classes count: by number, by the names in its file, or by those of well-known data sets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engines.signature import PERSON, check_classes
from export.adopt.detector import DetectorNetwork
from export.adopt.errors import AdoptError
from export.adopt.layout import Layout

COCO = (
    "person bicycle car motorcycle airplane bus train truck boat traffic-light fire-hydrant stop-sign parking-meter "
    "bench bird cat dog horse sheep cow elephant bear zebra giraffe backpack umbrella handbag tie suitcase frisbee "
    "skis snowboard sports-ball kite baseball-bat baseball-glove skateboard surfboard tennis-racket bottle wine-glass "
    "cup fork knife spoon bowl banana apple sandwich orange broccoli carrot hot-dog pizza donut cake chair couch "
    "potted-plant bed dining-table toilet tv laptop mouse remote keyboard cell-phone microwave oven toaster sink "
    "refrigerator book clock vase scissors teddy-bear hair-drier toothbrush"
).split()
COCO_GAPS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
"""Numbers from 1 to 90 that COCO's own numbering leaves out."""
PERSON_BY_OTHER_NAMES = {PERSON, "people", "pedestrian"}


@dataclass(frozen=True, slots=True)
class Chosen:
    """The pair's classes, and which of the detector's they are."""

    names: tuple[str, ...]
    numbers: tuple[int, ...]
    """The detector's, whose boxes count."""
    places: tuple[int, ...]
    """Of each number, the place of its name in `names`."""
    why: str
    """How that is known."""

    def __str__(self) -> str:
        of = [[n for n, at in zip(self.numbers, self.places, strict=True) if at == place] for place in range(len(self))]
        told = (f"{name} {', '.join(map(str, found))}" for name, found in zip(self.names, of, strict=True))
        return f"{'; '.join(told)} ({self.why})"

    def __len__(self) -> int:
        return len(self.names)


VOC = (
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person pottedplant sheep "
    "sofa train tvmonitor"
).split()


def names_of(network: DetectorNetwork, layout: Layout) -> tuple[Mapping[int, str], str]:
    """Class number -> name, and how that is known."""
    if network.names:
        return network.names, "names in the file"
    known = dict(enumerate(COCO))
    with_gaps = dict(zip((n for n in range(1, 91) if n not in COCO_GAPS), COCO, strict=True))
    match layout.classes:
        case 1:
            return {0: "object"}, "the only one"
        case 80:
            return known, "80 classes, as COCO has"
        case 90 | 91 | 92:
            return with_gaps, f"{layout.classes} classes, as COCO's own numbering"
        case 20 | 21:
            return dict(enumerate(VOC, layout.classes - 20)), f"{layout.classes} classes, as Pascal VOC"
        case 0 if layout.name == "SSD":
            return {1: "person"}, "guessed: class 1, behind the background"
        case 0 if layout.name in ("OpenVINO", "MMDetection", "rows of six", "YOLOv7"):
            return {0: "person"}, "guessed: class 0"
        case 0:
            return (known, "guessed: COCO") if network.size_input else (with_gaps, "guessed: COCO's own numbering")
    return {}, "unknown"


def choose(network: DetectorNetwork, layout: Layout, wanted: Sequence[str] | None) -> Chosen:
    """The wanted classes: each a name or a number, or several of these as one: vehicle=car,truck. None: people, or the
    only class that there is, as the file calls it.

    Raises AdoptError for a class that there is not, or SignatureError for a name that none can have.
    """
    names, why = names_of(network, layout)
    if wanted is None:
        wanted = [network.names.get(0, PERSON)] if layout.classes == 1 else [PERSON]
    if len(wanted) == 1 and wanted[0].isdecimal():
        why = "as you said"
    found: dict[str, list[int]] = {}
    for word in (one for words in wanted for one in ([words] if "=" in words else words.split(","))):
        name, equals, parts = word.partition("=")
        if not equals and word.isdecimal():
            name = names.get(int(word), f"class {word}")
        name = PERSON if name.lower() in PERSON_BY_OTHER_NAMES else name
        for part in parts.split(",") if equals else [word]:
            found.setdefault(name, []).extend(_numbers(network, layout, names, part))
    if layout.classes == 1 and len(found) > 1:
        raise AdoptError(f"{network.path} has one class, {len(found)} were asked for; say --class with one name")
    check_classes(tuple(found))
    places = [place for place, numbers in enumerate(found.values()) for _ in numbers]
    return Chosen(tuple(found), tuple(one for numbers in found.values() for one in numbers), tuple(places), why)


def _numbers(network: DetectorNetwork, layout: Layout, names: Mapping[int, str], word: str) -> list[int]:
    """The detector's classes that a word means. Raises AdoptError where it has none."""
    if layout.classes == 1:
        return [0]
    if word.isdecimal():
        if layout.classes and int(word) >= layout.classes:
            raise AdoptError(
                f"{network.path}: output {layout.scores.output!r} has {layout.classes} classes, 0 to "
                f"{layout.classes - 1}; there is no class {word}"
            )
        return [int(word)]
    found = [number for number, name in names.items() if _plain(name) == _plain(word)]
    if not found:
        known = ", ".join(f"{number} {name}" for number, name in names.items()) or "no names, only numbers"
        raise AdoptError(f"{network.path} has no class {word!r}; it has {known}. Say --class with one of them")
    return found


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
