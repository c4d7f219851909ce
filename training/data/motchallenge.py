"""Sequences in MOTChallenge folders: MOT15, MOT16, MOT17, MOT20, and the same with a video instead of pictures."""

import configparser
import os
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from edge.sources.sequence import NumberedImages
from edge.text import read_text
from edge.tracking.mot_folders import sequence_name
from edge.tracking.mot_format import PEDESTRIAN, MotBoxes, read_mot
from training.data.labelled import LabelledImage

NEITHER = (2, 6, 7, 8, 12, 13)
"""Classes that are neither persons to learn nor background: on a vehicle, vehicle without motor, static, distractor,
reflection, crowd. TrackEval removes what was found there before it scores: 2, 7, 8, 12, and 6 in MOT20. Only MOT20 has
crowds."""
JPEG_QUALITY = 95


def read_sequences(folders: list[Path], cache: Path) -> tuple[list[LabelledImage], dict[str, int]]:
    """The first halves (frames 1..N//2, FairMOT's split) of MOT sequences, and how many identities each of them has.

    Identities are counted on from one sequence to the next, in the order of `folders`.

    A folder holds seqinfo.ini, gt.txt (or gt/gt.txt) and either img1/ or video.mp4, whose frames are written once below
    `cache`. Learnt is class 1 where it is flagged, however little of it is visible; in MOT15, which has no classes, all
    that is flagged. Raises FileNotFoundError, or ValueError that names the file, its line and what is wrong with it.
    """
    images: list[LabelledImage] = []
    identities: dict[str, int] = {}
    for folder in folders:
        name, first = sequence_name(folder), sum(identities.values())
        if name in identities:
            raise ValueError(f"{folder}: {name} was read already; name each sequence once")
        frames = _frames(folder, cache)
        truth = _truth(folder)
        truth = truth.where(truth.frames <= len(frames))
        persons = truth.where((truth.flags != 0) & (truth.classes == PEDESTRIAN))
        neither = truth.where(np.isin(truth.classes, NEITHER))
        known, ids = np.unique(persons.ids, return_inverse=True)
        xyxy, ignore = persons.xyxy, neither.xyxy
        for number, path in enumerate(frames, 1):
            here, there = persons.frames == number, neither.frames == number
            images.append(LabelledImage(path, xyxy[here], first + ids[here], ignore[there], name, number))
        identities[name] = len(known)
    return images, identities


def _truth(folder: Path) -> MotBoxes:
    path = next((p for p in (folder / "gt.txt", folder / "gt" / "gt.txt") if p.exists()), None)
    if path is None:
        raise FileNotFoundError(f"{folder} has neither gt.txt nor gt/gt.txt")
    return read_mot(path)


def _frames(folder: Path, cache: Path) -> list[Path]:
    """The pictures of the first half, unpacked where the folder has a video."""
    info = configparser.ConfigParser(interpolation=None)
    path = folder / "seqinfo.ini"
    try:
        info.read_string(read_text(path), str(path))
        entry = info["Sequence"]
        length, suffix = int(entry["seqLength"]), entry.get("imExt", ".jpg")
    except (KeyError, ValueError, configparser.Error) as error:
        raise ValueError(f"{path}: expected [Sequence] with seqLength=frames, got {error!r}") from None
    numbers = range(1, length // 2 + 1)
    if (folder / "img1").is_dir():
        images = NumberedImages(folder / "img1", suffix)
        return [images.path(number) for number in numbers]
    paths = [cache / folder.name / f"{number:06d}.jpg" for number in numbers]
    if not all(path.exists() for path in paths):
        _unpack(folder / "video.mp4", paths)
    return paths


def _unpack(path: Path, targets: list[Path]) -> None:
    """Write the first frames of a video as pictures."""
    video = cv2.VideoCapture(str(path))
    if not video.isOpened():
        raise FileNotFoundError(f"{path.parent} has neither img1/ nor a video.mp4 that can be read")
    for target in tqdm(targets, desc=f"unpacking {path.parent.name}"):
        read, frame = video.read()
        if not read:
            raise ValueError(f"{path} ends before frame {int(target.stem)}; seqinfo.ini promises {2 * len(targets)}")
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{os.getpid()}-{target.name}")
        cv2.imwrite(str(partial), frame, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        partial.replace(target)
    video.release()
