"""Which of a detector's classes count: by number, by the names in its file, or by those of well-known data sets."""

from collections.abc import Mapping, Sequence

from export.adopt.detector import AdoptError, Network
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
VOC = (
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person pottedplant sheep "
    "sofa train tvmonitor"
).split()


def names_of(network: Network, layout: Layout) -> tuple[Mapping[int, str], str]:
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


def choose(network: Network, layout: Layout, wanted: Sequence[str]) -> tuple[list[int], str]:
    """Numbers of the wanted classes, given as numbers or names, and how they are known.

    Raises AdoptError for a class that there is not.
    """
    names, why = names_of(network, layout)
    if layout.classes == 1:
        return [0], why
    numbers = []
    for word in wanted:
        if word.isdecimal():
            numbers.append(int(word))
            why = "as you said" if len(wanted) == 1 else why
            if layout.classes and numbers[-1] >= layout.classes:
                raise AdoptError(
                    f"{network.path}: output {layout.scores.output!r} has {layout.classes} classes, 0 to "
                    f"{layout.classes - 1}; there is no class {word}"
                )
            continue
        found = [number for number, name in names.items() if _plain(name) == _plain(word)]
        if not found:
            known = ", ".join(f"{number} {name}" for number, name in names.items()) or "no names, only numbers"
            raise AdoptError(f"{network.path} has no class {word!r}; it has {known}. Say --class with one of them")
        numbers += found
    return numbers, why


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
