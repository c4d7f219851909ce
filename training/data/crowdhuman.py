"""CrowdHuman's .odgt files: one JSON object per line and picture."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from edge.arrays import F32
from training.data.labelled import LabelledImage, single_image

Box = tuple[float, float, float, float]


def read_crowdhuman(folder: Path) -> list[LabelledImage]:
    """The pictures of all .odgt files in `folder`, found as Images/ID.jpg (or images/ID.jpg).

    Raises ValueError that names file and line, FileNotFoundError for a picture that is not there.
    """
    pictures = next((folder / name for name in ("Images", "images") if (folder / name).is_dir()), None)
    if pictures is None:
        raise FileNotFoundError(f"{folder} has .odgt files, but no Images/ with the pictures")
    images = []
    for odgt in sorted(folder.glob("*.odgt")):
        with odgt.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                place = f"{odgt}:{number}"
                name, xyxy, ignore = parse_line(line, place)
                path = pictures / f"{name}.jpg"
                if not path.exists():
                    raise FileNotFoundError(f"{place}: there is no {path}")
                images.append(single_image(path, xyxy, ignore))
    return images


def parse_line(line: str, place: str) -> tuple[str, F32, F32]:
    """ID of a picture, its persons and its regions to ignore, both xyxy (n, 4).

    A person is its full body (`fbox`), also where it is hidden or outside the picture, as in MOTChallenge. A box that
    is tagged other than `person`, or flagged `ignore`, is a region; one without area is left out. Raises ValueError
    that begins with `place`.
    """
    try:
        record: dict[str, Any] = json.loads(line)
        name, boxes = record["ID"], record.get("gtboxes", [])
        if not isinstance(name, str):
            raise TypeError(f"ID is {name!r}")
        persons: list[Box] = []
        regions: list[Box] = []
        for box in boxes:
            left, top, width, height = (float(value) for value in box["fbox"])
            if not all(map(math.isfinite, (left, top, width, height))):
                raise ValueError(f"fbox {box['fbox']}")
            counts = box["tag"] == "person" and box.get("extra", {}).get("ignore", 0) != 1
            if width > 0 and height > 0:
                (persons if counts else regions).append((left, top, left + width, top + height))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f'{place}: expected {{"ID": name, "gtboxes": [{{"tag": ..., "fbox": [left, top, width, height]}}]}},'
            f" got {type(error).__name__}: {error}"
        ) from None
    return name, np.array(persons, np.float32).reshape(-1, 4), np.array(regions, np.float32).reshape(-1, 4)
