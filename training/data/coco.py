"""COCO's instances files: one JSON object for all pictures."""

import json
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from edge.arrays import F32
from training.data.labelled import LabelledImage, single_image


def read_coco(folder: Path) -> list[LabelledImage]:
    """The pictures that show persons, of each annotations/instances_NAME.json whose pictures lie in `folder`.

    They lie in NAME/, images/NAME/ or images/. Raises ValueError that names file and entry, FileNotFoundError.
    """
    images = []
    looked_at = []
    for path in sorted(folder.glob("annotations/instances_*.json")):
        name = path.stem.removeprefix("instances_")
        places = [folder / name, folder / "images" / name, folder / "images"]
        pictures = next((place for place in places if place.is_dir()), None)
        if pictures is None:  # the archive of annotations holds those of other pictures too
            looked_at += places
            continue
        for file_name, xyxy, ignore in parse_instances(path.read_text(encoding="utf-8"), str(path)):
            images.append(single_image(pictures / file_name, xyxy, ignore))
    if looked_at and not images:
        raise FileNotFoundError(f"{folder} has annotations but no pictures: no {', '.join(map(str, looked_at))}")
    return images


def parse_instances(text: str, name: str) -> list[tuple[str, F32, F32]]:
    """File name, persons and crowds (regions to ignore), xyxy (n, 4), of each picture with either; boxes without area
    are left out.

    Raises ValueError, which speaks of the file as `name`.
    """
    try:
        record: dict[str, Any] = json.loads(text)
        person = next((c["id"] for c in record["categories"] if c["name"] == "person"), None)
        files = {image["id"]: str(image["file_name"]) for image in record["images"]}
        annotations = record["annotations"]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{name}: expected images, annotations and categories, got {type(error).__name__}: {error}"
        ) from None
    if person is None:
        raise ValueError(f"{name}: expected a category named 'person', got none of that name")
    boxes: dict[Any, tuple[list[Any], list[Any]]] = defaultdict(lambda: ([], []))
    for number, annotation in enumerate(annotations):
        try:
            if annotation["category_id"] != person:
                continue
            left, top, width, height = (float(value) for value in annotation["bbox"])
            finite = all(map(math.isfinite, (left, top, width, height)))
            if not finite or annotation["image_id"] not in files:
                raise ValueError(f"bbox {annotation['bbox']} in picture {annotation['image_id']}")
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"{name}: annotations[{number}]: expected the image_id of a picture of the file and bbox [left, top,"
                f" width, height], got {type(error).__name__}: {error}"
            ) from None
        if width > 0 and height > 0:
            crowd = bool(annotation.get("iscrowd", 0))
            boxes[annotation["image_id"]][crowd].append((left, top, left + width, top + height))
    return [
        (file_name, np.array(persons, np.float32).reshape(-1, 4), np.array(crowds, np.float32).reshape(-1, 4))
        for image, file_name in files.items()
        if image in boxes
        for persons, crowds in [boxes[image]]
    ]
