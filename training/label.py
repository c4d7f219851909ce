"""Label pictures and videos with a detector and an appearance network, in the form that training reads.

python -m training.label photos/ street.mp4 --detector person-detection.xml --appearance reid.xml --output labelled

For each folder or video, OUTPUT/NAME gets images/, labels/*.txt (`class cx cy w h score`, see `data.yolo_labels`) and
looks/*.npy, the appearance of each person. A folder with labels/ of its own holds the truth, which stands: the detector
says how plain each of those persons is to see, and what it surely sees besides is ignored. Without truth, sure
detections count as persons with their score, doubtful ones are ignored regions, the rest is background.

Networks are OpenVINO's (`pip install openvino`): a detector with an output (n, 5) of x1, y1, x2, y2, score, and an
appearance network that turns a crop into one vector. Started again, it goes on where it stopped.
"""

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from edge.arrays import F32, U8
from edge.tracking.boxes import iou_matrix
from training.data.images import read_images
from training.data.yolo_labels import IGNORE, PERSON

CERTAIN = 0.7
"""Score of the detector from which it could not be surer: people in plain view get about as much."""
SURE, DOUBTFUL = 0.5, 0.25
"""Scores from which a detection without truth is a person, and from which it is at least no background."""
SAME = 0.6
"""Overlap from which a detection and a true box are one person; the detector's box is taken then, since it guesses the
hidden part of a body alike everywhere, where data sets differ."""
CROP_WH = (128, 256)
SMALLEST = 32
"""Height in source pixels below which nobody's appearance is worth keeping."""
GREY = 127


@dataclass(frozen=True, slots=True)
class Labels:
    """What is known of one picture; boxes xyxy in source pixels."""

    xyxy: F32  # (n, 4) persons
    scores: F32  # (n,) how plain each is to see, 0..1
    ignore: F32  # (k, 4)


class OpenVinoDetector:
    """Persons in a BGR picture, by an OpenVINO detector at a size of one's choice."""

    def __init__(self, path: Path, size_wh: tuple[int, int]) -> None:
        core = _openvino()
        model = core.read_model(str(path))
        model.reshape([1, 3, size_wh[1], size_wh[0]])
        self.size_wh, self._network = size_wh, core.compile_model(model, "CPU")
        self._boxes = next(i for i, out in enumerate(model.outputs) if out.partial_shape.rank.get_length() == 2)

    def detect(self, bgr: U8) -> tuple[F32, F32]:
        """(n, 4) boxes in source pixels and (n,) scores."""
        (width, height), (rows, columns) = self.size_wh, bgr.shape[:2]
        ratio = min(width / columns, height / rows)
        shape = round(columns * ratio), round(rows * ratio)
        canvas = np.full((height, width, 3), GREY, np.uint8)
        way = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
        canvas[: shape[1], : shape[0]] = cv2.resize(bgr, shape, interpolation=way)
        found = self._network(canvas.transpose(2, 0, 1)[None].astype(np.float32))[self._boxes]
        found = found[found[:, 4] > 0]
        return (found[:, :4] / ratio).astype(np.float32), found[:, 4].astype(np.float32)


class OpenVinoAppearance:
    """What persons look like: one vector per box."""

    def __init__(self, path: Path) -> None:
        core = _openvino()
        model = core.read_model(str(path))
        self._network = core.compile_model(model, "CPU")
        self.dimension = int(model.outputs[0].partial_shape[1].get_length())

    def look(self, bgr: U8, xyxy: F32) -> F32:
        """(n, D) unit length; rows of NaN for persons too small to tell."""
        out = np.full((len(xyxy), self.dimension), np.nan, np.float32)
        for row, box in zip(out, xyxy, strict=True):
            x1, y1 = np.maximum(np.floor(box[:2]), 0).astype(int)
            x2, y2 = np.ceil(box[2:]).astype(int)
            crop = bgr[y1:y2, x1:x2]
            if crop.shape[0] < SMALLEST or crop.shape[1] < SMALLEST / 4:
                continue
            resized = cv2.resize(crop, CROP_WH, interpolation=cv2.INTER_LINEAR)
            vector = self._network(resized.transpose(2, 0, 1)[None].astype(np.float32))[0][0]
            row[:] = vector / max(float(np.linalg.norm(vector)), 1e-12)
        return out


def main(argv: list[str] | None = None) -> None:
    """Write the labels of every source."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("sources", type=Path, nargs="+", help="folders of pictures (or with images/), video files")
    options.add_argument("--detector", type=Path, required=True, help="OpenVINO .xml")
    options.add_argument("--appearance", type=Path, help="OpenVINO .xml (default: no appearance is kept)")
    options.add_argument("--size", default="1280x736", help="WIDTHxHEIGHT the detector sees (default %(default)s)")
    options.add_argument("--every", type=int, default=10, help="of a video, every so many frames (default %(default)s)")
    options.add_argument("--output", type=Path, required=True, help="folder that gets a folder for each source")
    args = options.parse_args(argv)
    missing = [str(source) for source in args.sources if not source.exists()]
    if missing:
        options.error(f"no such folder or file: {', '.join(missing)}")
    width, height = (int(side) for side in args.size.split("x"))
    detector = OpenVinoDetector(args.detector, (width, height))
    appearance = OpenVinoAppearance(args.appearance) if args.appearance else None
    for source in args.sources:
        label(source, args.output / source.stem, detector, appearance, args.every)


def label(
    source: Path, target: Path, detector: OpenVinoDetector, appearance: OpenVinoAppearance | None, every: int
) -> None:
    """Write one source's pictures, labels and looks below `target`."""
    truths = {}
    if (source / "labels").is_dir():
        truths = {image.path.stem: image for image in read_images([source])}
    for part in ("labels", "looks") if appearance else ("labels",):
        (target / part).mkdir(parents=True, exist_ok=True)
    for name, bgr in tqdm(_pictures(source, target, every), desc=source.name, unit="picture"):
        written = target / "labels" / f"{name}.txt"
        if written.exists():
            continue
        found = detector.detect(bgr)
        truth = truths.get(name)
        labels = judge(*found) if truth is None else confirm(truth.xyxy, truth.ignore, *found)
        if appearance:
            np.save(target / "looks" / f"{name}.npy", appearance.look(bgr, labels.xyxy).astype(np.float16))
        written.write_text(_text(labels, bgr.shape[1], bgr.shape[0]))


def judge(xyxy: F32, scores: F32) -> Labels:
    """Labels from detections alone."""
    sure = scores >= SURE
    return Labels(xyxy[sure], np.minimum(scores[sure] / CERTAIN, 1), xyxy[~sure & (scores >= DOUBTFUL)])


def confirm(true_xyxy: F32, ignore: F32, xyxy: F32, scores: F32) -> Labels:
    """Labels from true boxes (n, 4) and ignored regions, with scores from detections (m, 4), (m,).

    A true person has at least half a point. Sure detections of nobody are ignored: data sets miss people.
    """
    plain = np.full(len(true_xyxy), 0.5, np.float32)
    boxes = true_xyxy.copy()
    free = scores >= SURE
    if len(true_xyxy) and len(xyxy):
        overlap = iou_matrix(true_xyxy, xyxy)
        best = overlap.argmax(1)
        same = overlap.max(1) >= SAME
        plain[same] += 0.5 * np.minimum(scores[best[same]] / CERTAIN, 1)
        surely = same & (scores[best] >= SURE)
        boxes[surely] = xyxy[best[surely]]
        free &= overlap.max(0) < SAME / 2
    return Labels(boxes, plain, np.concatenate((ignore, xyxy[free])).astype(np.float32))


def _pictures(source: Path, target: Path, every: int) -> Iterator[tuple[str, U8]]:
    """Name and picture (H, W, 3) BGR, each present below `target`/images afterwards."""
    images = target / "images"
    if source.is_dir():
        folder = source / "images" if (source / "images").is_dir() else source
        images.parent.mkdir(parents=True, exist_ok=True)
        if not images.exists():
            os.symlink(folder.resolve(), images)
        for path in sorted(folder.iterdir()):
            bgr = cv2.imread(str(path))
            if bgr is not None:
                yield path.stem, bgr.astype(np.uint8, copy=False)
        return
    images.mkdir(parents=True, exist_ok=True)
    video = cv2.VideoCapture(str(source))
    number = 0
    while video.grab():
        number += 1
        if (number - 1) % every == 0:
            read, frame = video.retrieve()
            if read:
                cv2.imwrite(str(images / f"{number:06d}.jpg"), frame, [cv2.IMWRITE_JPEG_QUALITY, 95])
                yield f"{number:06d}", frame.astype(np.uint8, copy=False)
    video.release()
    if not number:
        raise ValueError(f"{source} is neither a folder of pictures nor a video that can be read")


def _text(labels: Labels, width: int, height: int) -> str:
    size = np.array([width, height, width, height], np.float32)
    rows = [(PERSON, box, score) for box, score in zip(labels.xyxy / size, labels.scores, strict=True)]
    rows += [(IGNORE, box, 1.0) for box in labels.ignore / size]
    lines = [
        f"{kind} {(x1 + x2) / 2:.6f} {(y1 + y2) / 2:.6f} {x2 - x1:.6f} {y2 - y1:.6f} {score:.4f}"
        for kind, (x1, y1, x2, y2), score in rows
    ]
    return "\n".join(lines) + "\n" if lines else ""


def _openvino() -> Any:
    try:
        import openvino  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        raise SystemExit("labelling needs OpenVINO: pip install openvino") from None
    return openvino.Core()


if __name__ == "__main__":
    main()
