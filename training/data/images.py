"""Folders of single images with person boxes. What lies in a folder says which form it has:

| form              | the folder holds                                                                              |
|-------------------|-----------------------------------------------------------------------------------------------|
| YOLO labels       | images/\\*.jpg and labels/\\*.txt, see `yolo_labels`                                            |
| CrowdHuman        | \\*.odgt, such as annotation_train.odgt, and Images/ID.jpg, see `crowdhuman`                   |
| COCO              | annotations/instances_NAME.json and NAME/\\*.jpg or images/\\*.jpg, see `coco`                  |

A recipe names such folders below DATA/images in its entry `images`, whatever their form. Persons have no identity.
"""

from pathlib import Path

from training.data.coco import read_coco
from training.data.crowdhuman import read_crowdhuman
from training.data.labelled import LabelledImage
from training.data.yolo_labels import read_yolo_labels


def read_images(folders: list[Path]) -> list[LabelledImage]:
    """The pictures of all folders, in the order of names or of the annotation file.

    Raises FileNotFoundError for a folder of none of the forms, ValueError that names file, line and entry.
    """
    return [image for folder in folders for image in _read_folder(folder)]


def _read_folder(folder: Path) -> list[LabelledImage]:
    if any(folder.glob("*.odgt")):
        return read_crowdhuman(folder)
    if any(folder.glob("annotations/instances_*.json")):
        return read_coco(folder)
    if (folder / "images").is_dir() and (folder / "labels").is_dir():
        return read_yolo_labels(folder)
    raise FileNotFoundError(
        f"{folder} is no folder of labelled images; expected images/ and labels/, or *.odgt and Images/,"
        " or annotations/instances_NAME.json and NAME/"
    )
