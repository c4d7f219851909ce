"""A data folder for trainings of a few steps: a person who walks over grey ground, and two photographs."""

from pathlib import Path

import cv2
import numpy as np

from edge.arrays import U8

FRAMES, WIDTH, HEIGHT = 24, 96, 64
RECIPE = f"""
pair = "tiny"
network = "yolo-1/8"
input_width = {WIDTH}
input_height = {HEIGHT}
sequences = ["seq"]
"""


def write_data(folder: Path) -> Path:
    """folder/data with sequences/seq (24 frames) and images/photos."""
    data = folder / "data"
    sequence, photos = data / "sequences" / "seq", data / "images" / "photos"
    for path in (sequence / "img1", photos / "images", photos / "labels"):
        path.mkdir(parents=True)
    rows = []
    for number in range(1, FRAMES + 1):
        cv2.imwrite(str(sequence / "img1" / f"{number:06d}.jpg"), _picture(8 + 2 * number))
        rows.append(f"{number},1,{9 + 2 * number},21,12,30,1,1,1")
    (sequence / "gt.txt").write_text("\n".join(rows))
    (sequence / "seqinfo.ini").write_text(
        f"[Sequence]\nname=seq\nframeRate=25\nseqLength={FRAMES}\nimWidth={WIDTH}\nimHeight={HEIGHT}\n"
    )
    for name, left in (("a", 20), ("b", 60)):
        cv2.imwrite(str(photos / "images" / f"{name}.jpg"), _picture(left))
        (photos / "labels" / f"{name}.txt").write_text(
            f"0 {(left + 6) / WIDTH} {35 / HEIGHT} {12 / WIDTH} {30 / HEIGHT}"
        )
    return data


def write_recipe(path: Path, steps: int, more: str = "", batch: int = 2) -> Path:
    """A recipe file for that data."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{RECIPE}\nsteps = {steps}\nwarmup = {min(steps, 2)}\nbatch = {batch}\n{more}\n")
    return path


def _picture(left: int) -> U8:
    picture = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    cv2.rectangle(picture, (left, 20), (left + 12, 50), (250, 250, 250), -1)
    return picture
