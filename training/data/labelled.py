"""Pictures with person boxes, from MOT sequences and from folders of single images, under one type."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from tqdm import tqdm

from edge.arrays import F32, F64, I64, U8
from training.targets import UNKNOWN

PEDESTRIAN, DISTRACTORS = 1, (2, 7, 8, 12)
"""MOTChallenge classes: what is learnt, and what is neither person nor background (on vehicle, static, reflection)."""


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One picture on disk and its persons. Boxes are xyxy in source pixels, unclipped."""

    path: Path
    xyxy: F32  # (n, 4)
    ids: I64  # (n,) identity counted over all sequences, UNKNOWN for single images
    ignore: F32  # (k, 4) regions without trustworthy labels
    sequence: str = ""
    frame: int = 0
    """1-based frame number inside the sequence; 0 for single images."""

    def read(self) -> U8:
        """The picture, (H, W, 3) BGR."""
        image = cv2.imread(str(self.path))
        if image is None:
            raise OSError(f"cannot read {self.path} as a picture; delete it to have it written again")
        return image.astype(np.uint8, copy=False)


def read_sequences(folders: list[Path], cache: Path) -> tuple[list[LabelledImage], int]:
    """The first halves (frames 1..N//2, FairMOT's split) of MOT sequences, and the number of identities in them.

    A folder holds gt.txt (or gt/gt.txt) and either img1/ or video.mp4, whose frames are written once below `cache`.
    """
    images: list[LabelledImage] = []
    identities = 0
    for folder in folders:
        truth = _ground_truth(folder)
        last = _length(folder) // 2
        truth = truth[truth[:, 0] <= last]
        scored = (truth[:, 6] != 0) & (truth[:, 7] == PEDESTRIAN)
        ids = np.unique(truth[scored, 1])
        frames = _frames(folder, last, cache)
        for number, path in enumerate(frames, 1):
            here = truth[:, 0] == number
            rows = truth[here & scored]
            images.append(
                LabelledImage(
                    path,
                    _xyxy(rows),
                    identities + np.searchsorted(ids, rows[:, 1]),
                    _xyxy(truth[here & np.isin(truth[:, 7], DISTRACTORS)]),
                    folder.name,
                    number,
                )
            )
        identities += len(ids)
    return images, identities


def read_images(folders: list[Path]) -> list[LabelledImage]:
    """Folders with images/ and YOLO-normalised labels/ (class 0 person, class 1 region to ignore)."""
    return [image for folder in folders for image in _read_folder(folder)]


def _read_folder(folder: Path) -> Iterator[LabelledImage]:
    for path in sorted((folder / "images").iterdir()):
        labels = folder / "labels" / f"{path.stem}.txt"
        text = labels.read_text().split() if labels.exists() else []
        rows = np.array(text, np.float64).reshape(-1, 5)
        height, width = _size(path)
        centre, half = rows[:, 1:3], rows[:, 3:5] / 2
        xyxy = np.concatenate((centre - half, centre + half), 1) * (width, height, width, height)
        person = rows[:, 0] == 0
        yield LabelledImage(
            path,
            xyxy[person].astype(np.float32),
            np.full(int(person.sum()), UNKNOWN, np.int64),
            xyxy[~person].astype(np.float32),
        )


def _size(path: Path) -> tuple[int, int]:
    """(height, width) of a picture as OpenCV decodes it."""
    image = cv2.imread(str(path))
    if image is None:
        raise OSError(f"cannot read {path} as a picture")
    return image.shape[0], image.shape[1]


def _xyxy(rows: F64) -> F32:
    """MOT rows (1-based left, top, width, height) to 0-based xyxy."""
    left_top = rows[:, 2:4] - 1
    return np.concatenate((left_top, left_top + rows[:, 4:6]), 1).astype(np.float32)


def _ground_truth(folder: Path) -> F64:
    path = next((p for p in (folder / "gt.txt", folder / "gt" / "gt.txt") if p.exists()), None)
    if path is None:
        raise FileNotFoundError(f"{folder} has neither gt.txt nor gt/gt.txt")
    rows = np.loadtxt(path, delimiter=",", ndmin=2)
    if rows.shape[1] < 8 or (rows[:, 7] == -1).all():  # MOT15: no classes
        rows = np.concatenate((rows[:, :7], np.full((len(rows), 1), PEDESTRIAN)), 1)
    return rows


def _length(folder: Path) -> int:
    lines = (folder / "seqinfo.ini").read_text().splitlines()
    return int(next(line.split("=")[1] for line in lines if line.startswith("seqLength")))


def _frames(folder: Path, last: int, cache: Path) -> list[Path]:
    if (folder / "img1").is_dir():
        return sorted((folder / "img1").iterdir())[:last]
    target = cache / folder.name
    paths = [target / f"{number:06d}.jpg" for number in range(1, last + 1)]
    if not all(path.exists() for path in paths):
        target.mkdir(parents=True, exist_ok=True)
        with av.open(str(folder / "video.mp4")) as video:
            frames = zip(paths, video.decode(video=0), strict=False)
            for path, frame in tqdm(frames, total=last, desc=f"unpacking {folder.name}"):
                cv2.imwrite(str(path), frame.to_ndarray(format="bgr24"), [cv2.IMWRITE_JPEG_QUALITY, 95])
    return paths
