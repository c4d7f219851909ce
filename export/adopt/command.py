"""Make a teacher of a detector of your own, and lend it a student: a pair that AttTrack tracks with.

examples:
  atttrack adopt yolov8n.onnx --picture street.jpg
  atttrack adopt forklifts.onnx --class forklift --output mine --pair forklifts
  atttrack adopt yolov8n.onnx --class person bicycle vehicle=car,truck,bus --picture street.jpg
  atttrack adopt person-detection-0303.xml --size 1280x736 --appearance person-reidentification-retail-0287.xml

The detector's file is read, asked about a picture, and wrapped as it is; nothing is trained. What is printed says how
each of its outputs was understood. docs/ADOPT.md has the rest.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import ModelProto

from edge.arrays import F32, I32, U8
from edge.ops.host import HostOps
from edge.ops.letterbox import Letterbox
from edge.pipeline.backend import SHIPPED_MODELS
from edge.pipeline.config import SHIPPED_PAIR, parse_size
from edge.sources import open_source
from edge.sources.base import SourceError
from engines.errors import EngineError
from engines.files import whole
from engines.host import HostDevice
from engines.onnx_engine import OnnxEngine
from engines.signature import CLASSES, IMAGE, PEOPLE, SCORES, Signature, file_name, size_name
from export.adopt.appearance import Appearance, recognise_appearance
from export.adopt.classes import choose
from export.adopt.detector import (
    BGR_AS_THEY_ARE,
    RGB_AS_IMAGENET,
    RGB_AS_THEY_ARE,
    RGB_TO_ONE,
    Pixels,
    read_network,
)
from export.adopt.errors import AdoptError, first_line
from export.adopt.layout import recognise
from export.adopt.student import make_student
from export.adopt.teacher import Adoption, make_teacher

PEAKS = 300
SUPPRESS_IOU = 0.65
DEFAULT_SIZE = (640, 640)
"""Of a detector that takes every size and says none."""
DRAWN = "synthetic://?seed=3&people=20&width=1280&height=720"
CROP_SIZE = (128, 256)
"""Of an appearance network that takes every size."""
CROP_PIXELS = {
    "bgr": BGR_AS_THEY_ARE,
    "rgb": RGB_AS_THEY_ARE,
    "unit": RGB_TO_ONE,
    "imagenet": RGB_AS_IMAGENET,
}
SURE = 0.3
"""Score above which somebody on the test picture is told of."""
Seen = tuple[F32, I32]
"""Scores (N,) on the test picture, descending, and places (N,) in the pair's classes."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Adopt one detector; the exit status is 0, or 2 after one line that says what did not fit."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        _adopt(options)
    except (EngineError, SourceError, ValueError, OSError) as error:
        print(f"atttrack adopt: {error}", file=sys.stderr)
        return 2
    return 0


def _adopt(options: argparse.Namespace) -> None:
    """Read, recognise, wrap, try, write, tell."""
    network = read_network(options.detector, options.size if options.fit == "letterbox" else None, DEFAULT_SIZE)
    size = _input_size((network.width, network.height), options)
    looks = _looks(options)
    planes = _picture(options.picture or DRAWN, size)
    inside = _resized(planes, (network.width, network.height))
    answer = network.opened()
    layout = recognise(network, lambda usual: answer(inside, _pixels(usual, options)))
    chosen = choose(network, layout, options.classes)
    pair = options.pair or re.sub(r"[^\w.-]", "-", options.detector.stem)
    adopted = Adoption(
        network=network,
        layout=layout,
        pixels=_pixels(layout.pixels, options),
        chosen=chosen,
        suppress_iou=options.suppress,
        batched=network.batched,
        signature=Signature(
            role="teacher",
            height=size[1],
            width=size[0],
            peaks=PEAKS,
            embedding_dim=looks.dim if looks else 1,
            pair=pair,
            network=f"{layout.name}, {options.detector.name}",
            appearance="embeddings" if looks else "none",
            classes=chosen.names,
        ),
        appearance=looks,
    )
    teacher = options.output / file_name(pair, "teacher", size_name(size))
    adopted, seen = _write(adopted, teacher, planes)
    student = options.output / file_name(pair, "student")
    if options.student or (options.student is None and chosen.names == PEOPLE):
        _save(make_student(SHIPPED_MODELS / file_name(SHIPPED_PAIR, "student"), adopted.signature), student)
    print(_table(adopted, options, seen))
    print(f"\nteacher: {teacher}")
    if student.is_file():
        print(f"student: {student}")
    mode = "" if student.is_file() else " --mode teacher"
    print(f"try it:  atttrack track film.mp4 --models {options.output} --pair {pair}{mode}")


def _looks(options: argparse.Namespace) -> Appearance | None:
    """The appearance network, if one was given."""
    if options.appearance is None:
        return None
    network = read_network(options.appearance, None, CROP_SIZE)
    usual = "bgr" if options.appearance.suffix == ".xml" else "imagenet"
    return recognise_appearance(network, CROP_PIXELS[options.appearance_pixels or usual])


def _input_size(network: tuple[int, int], options: argparse.Namespace) -> tuple[int, int]:
    """Width and height of our input: the next multiples of 32, or any, where the picture is stretched to the network's.

    A stretched picture keeps the network's height and has the shape of most cameras' pictures.
    """
    width, height = (-(-side // 32) * 32 for side in network)
    if options.fit == "letterbox":
        return width, height
    return options.size or (round(height * 16 / 9 / 32) * 32, height)


def _pixels(usual: Pixels, options: argparse.Namespace) -> Pixels:
    """What networks of that kind usually want, unless it was said otherwise."""
    said = {"colour": options.colour, "mean": options.mean, "std": options.std}
    return replace(usual, **{name: value for name, value in said.items() if value is not None})


def _picture(source: str, size: tuple[int, int]) -> U8:
    """A source's first picture, letterboxed: RGB planes (1, 3, height, width). Raises SourceError or ValueError."""
    photograph = cv2.imread(source) if Path(source).is_file() else None
    image = None if photograph is None else photograph.astype(np.uint8)
    if image is None:
        with closing(open_source(source)) as opened:
            image = next((frame.image for frame in opened), None)
    if image is None:
        raise ValueError(f"{source} has no picture; give a photograph or a film")
    height, width = image.shape[:2]
    planes = np.empty((1, 3, size[1], size[0]), np.uint8)
    HostOps().letterbox([image], [Letterbox(width, height, *size)], planes, HostDevice().cuda_stream())
    return planes


def _resized(planes: U8, size: tuple[int, int]) -> U8:
    """RGB planes (1, 3, h, w) of another size, width and height."""
    if planes.shape[:1:-1] == size:
        return planes
    return np.stack([cv2.resize(plane, size) for plane in planes[0]])[None]


def _write(adopted: Adoption, path: Path, planes: U8) -> tuple[Adoption, Seen]:
    """Make the teacher and try it; a network that only says that it takes several pictures gets one at a time.

    Returns what was adopted, and what it sees in the picture. Raises AdoptError where it does not run at all.
    """
    for batched in (True, False) if adopted.batched else (False,):
        adopted = replace(adopted, batched=batched)
        try:
            with whole(path) as partial:
                onnx.save(make_teacher(adopted), partial)
                return adopted, _tried(OnnxEngine(partial), planes)
        except Exception as error:  # ONNX Runtime's exceptions share no base but this
            if not batched:
                raise AdoptError(f"{adopted.network.path} does not run as a teacher: {first_line(error)}") from error
    raise AssertionError


def _tried(engine: OnnxEngine, planes: U8) -> Seen:
    """What it sees in a picture. Raises AdoptError where others beside it change that."""
    execution, cuda_stream = engine.prepare(2), HostDevice().cuda_stream()
    image, scores = execution.inputs[IMAGE], execution.outputs[SCORES]
    image[:1], image[1:] = planes[..., ::-1], planes
    execution.run(2, cuda_stream)
    beside: F32 = scores[1].copy()
    image[:1] = planes
    execution.run(1, cuda_stream)
    if not np.allclose(scores[0], beside, atol=1e-2):
        raise AdoptError("it answers otherwise where it gets several pictures at once")
    return beside, execution.outputs[CLASSES][0] if CLASSES in execution.outputs else np.zeros(len(beside), np.int32)


def _save(model: ModelProto, path: Path) -> None:
    with whole(path) as partial:
        onnx.save(model, partial)


def _table(adopted: Adoption, options: argparse.Namespace, seen: Seen) -> str:
    """What was adopted, and how each thing was recognised."""
    network, layout, signature, looks = adopted.network, adopted.layout, adopted.signature, adopted.appearance
    said = any(value is not None for value in (options.colour, options.mean, options.std))
    at_once = "several pictures at once" if adopted.batched else "one picture at a time"
    scores, classes = seen
    sure = classes[scores > SURE].tolist()
    kinds = [f"{sure.count(place)} {name}" for place, name in enumerate(signature.classes) if place in sure]
    found = f"{len(sure)} with a score above {SURE}" + (f", the surest {scores[0]:.2f}" if sure else "")
    if len(signature.classes) > 1 and kinds:
        found += f": {', '.join(kinds)}"
    if not sure:
        found += "; --picture takes a photograph that has some"
    suppression = "the detector's own"
    if not layout.suppresses:
        of = "boxes" if len(signature.classes) == 1 else "a class's boxes"
        suppression = f"added: of {of} that overlap by more than {adopted.suppress_iou:g} (IoU), the surest remains"
    rows = [
        ("adopted", f"{network.path.name}: {layout.name}"),
        (f"input {network.image!r}", f"{network.width}x{network.height}, {at_once}"),
        ("pixels", f"{adopted.pixels} ({'as you said' if said else 'guessed; see --colour, --mean, --std'})"),
        ("fit", f"{options.fit} at {signature.width}x{signature.height}"),
        *((f"output {name!r}", note) for name, note in layout.notes.items()),
        ("classes", f"{adopted.chosen}"),
        ("suppression", suppression),
        ("appearance", "none: people are told apart by motion and overlap" if looks is None else _told(looks)),
        ("test picture", found),
    ]
    width = max(len(name) for name, _ in rows) + 2
    return "\n".join(f"{name:{width}}{told}" for name, told in rows)


def _told(looks: Appearance) -> str:
    """How an appearance network was understood."""
    network = looks.network
    size = f"crops of {network.width}x{network.height}"
    return f"{network.path.name}, {size}, {looks.pixels}; output {looks.output!r}: {looks.dim} numbers"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="atttrack adopt", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("detector", type=Path, help="model file of the detector: .onnx, or OpenVINO's .xml")
    parser.add_argument(
        "--output", type=Path, default=Path("adopted"), metavar="DIR", help="folder for the pair (default %(default)s)"
    )
    parser.add_argument("--pair", help="its name (default the detector's)")
    parser.add_argument(
        "--class",
        nargs="+",
        action="extend",
        dest="classes",
        metavar="CLASS",
        help="names or numbers, or several as one: vehicle=car,truck (default person, or the only one in the file)",
    )
    parser.add_argument("--picture", metavar="FILE", help="photograph or film to try it on (default a drawn scene)")
    parser.add_argument(
        "--size",
        type=parse_size,
        metavar="WxH",
        help="of its input where that is open, of ours with --fit stretch (default 640x640)",
    )
    parser.add_argument(
        "--fit",
        choices=("letterbox", "stretch"),
        default="letterbox",
        help="how pictures of another shape are brought to the detector's (default %(default)s)",
    )
    parser.add_argument("--colour", choices=("rgb", "bgr"), help="order of its channels (default as its kind has)")
    parser.add_argument(
        "--mean",
        type=_three,
        metavar="M",
        help="taken from each value of 0 to 255; one, or three in that order (default as its kind has)",
    )
    parser.add_argument(
        "--std", type=_three, metavar="S", help="what is left is divided by it (default as its kind has)"
    )
    parser.add_argument(
        "--appearance",
        type=Path,
        metavar="FILE",
        help="model file of a network that says of a person's crop what they look like (default none)",
    )
    parser.add_argument(
        "--appearance-pixels",
        choices=tuple(CROP_PIXELS),
        help="what it wants: 0 to 255 as BGR or RGB, 0 to 1, or as ImageNet (default imagenet, of an .xml bgr)",
    )
    parser.add_argument(
        "--suppress",
        type=float,
        default=SUPPRESS_IOU,
        metavar="IOU",
        help="of boxes that overlap by more, one remains, where the detector leaves several (default %(default)s)",
    )
    parser.add_argument(
        "--student",
        action=argparse.BooleanOptionalAction,
        help="lend it the shipped student, which knows people (default where they are the class)",
    )
    return parser


def _three(text: str) -> tuple[float, float, float]:
    """'255' or '123.7,116.3,103.5'."""
    values = [float(word) for word in text.split(",")]
    if len(values) not in (1, 3):
        raise argparse.ArgumentTypeError(f"one number or three, such as 123.7,116.3,103.5, got {text!r}")
    first, second, third = values if len(values) == 3 else values * 3
    return first, second, third


if __name__ == "__main__":
    sys.exit(main())
