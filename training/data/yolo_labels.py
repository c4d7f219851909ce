"""Images with YOLO labels: one text per picture, `class cx cy w h [score]` per line, in 0..1 of the picture.

A score says how plain a person is to see, 1 unless given. looks/NAME.npy beside images/ and labels/ may hold what the
persons look like, one row each (`training.label` writes it).
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from edge.arrays import F64
from training.data.labelled import LabelledImage, single_image

PERSON, IGNORE = 0, 1
"""Classes: a person, a region without trustworthy labels."""


def read_yolo_labels(folder: Path) -> list[LabelledImage]:
    """Pictures of `folder`/images with boxes of `folder`/labels; a picture without a text has no persons.

    Raises ValueError that names file and line.
    """
    with ThreadPoolExecutor() as pool:  # sizes are found by decoding, which runs beside Python
        return list(pool.map(_read, sorted((folder / "images").iterdir())))


def _read(path: Path) -> LabelledImage:
    labels = path.parent.parent / "labels" / f"{path.stem}.txt"
    rows = parse_yolo_labels(labels.read_text(), str(labels)) if labels.exists() else np.zeros((0, 6))
    image = cv2.imread(str(path))
    if image is None:
        raise OSError(f"cannot read {path} as a picture")
    height, width = image.shape[:2]
    centre, half = rows[:, 1:3], rows[:, 3:5] / 2
    xyxy = (np.concatenate((centre - half, centre + half), 1) * (width, height, width, height)).astype(np.float32)
    person = rows[:, 0] == PERSON
    looks = path.parent.parent / "looks" / f"{path.stem}.npy"
    seen = np.load(looks) if looks.exists() else None
    if seen is not None and len(seen) != person.sum():
        raise ValueError(f"{looks} describes {len(seen)} persons, {labels} has {person.sum()}; label them again")
    return single_image(path, xyxy[person], xyxy[~person], rows[person, 5].astype(np.float32), seen)


def parse_yolo_labels(text: str, name: str) -> F64:
    """(n, 6) class, box and score of each line. Raises ValueError, which speaks of the file as `name`."""
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = [float(value) for value in line.split()]
        except ValueError:
            row = []
        row += [1.0] * (len(row) == 5)
        if len(row) != 6 or row[0] not in (PERSON, IGNORE) or not all(-1 <= value <= 2 for value in row[1:]):
            raise ValueError(
                f"{name}:{number}: expected '0 or 1, cx cy w h', perhaps a score, in 0..1 of the picture, got {line!r}"
            )
        rows.append(row)
    return np.array(rows, np.float64).reshape(-1, 6)
