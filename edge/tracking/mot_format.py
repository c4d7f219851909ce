"""MOTChallenge text: ground truth and results, one box per line.

| columns | file              | after frame,id,left,top,width,height          |
|---------|-------------------|-----------------------------------------------|
| 7       | plain ground truth| flag                                          |
| 8, 9    | MOT16, 17, 20     | flag, class, visibility                       |
| 10      | MOT15, results    | flag or confidence, then a place in the world |

Results are of people, and name no class. Those of other pairs have nine columns: confidence, class, and -1, which is no
visibility. Classes have MOTChallenge's numbers as far as it knows them; the rest count on: `class_numbers`.

In the text the first frame is 1 and so is the first pixel's coordinate; `Frame.index` and source pixels start at 0. The
conversions are `MotBoxes.xyxy`, `MotBoxes.from_tracks` and nowhere else.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import count
from pathlib import Path
from typing import Self

import numpy as np

from edge.arrays import F32, F64, I64, Bool
from edge.text import read_text
from edge.tracking.boxes import xywh_to_xyxy, xyxy_to_xywh
from edge.tracking.detections import Tracks
from engines.signature import PEOPLE, PERSON

PEDESTRIAN = 1
"""Class number in MOT16, 17 and 20; given to boxes of files that name no class."""
NUMBERS = {PERSON: PEDESTRIAN, "car": 3, "bicycle": 4, "motorbike": 5, "motorcycle": 5}
LAST_NUMBER = 13
"""MOTChallenge's classes end here; those that it does not know begin behind it."""
FIRST_PIXEL = 1.0
"""Coordinate that the text gives to what is 0 in source pixels."""


class MotFormatError(ValueError):
    """Text that is not in MOTChallenge form; the message starts with file:line."""


@dataclass(frozen=True, slots=True)
class MotBoxes:
    """Boxes in the text's own counting: frames and pixels from 1. Rows in the order of the file."""

    frames: I64  # (N,) from 1
    ids: I64  # (N,) from 1; -1 in files of detections
    xywh: F64  # (N, 4) left, top, width, height, pixels from 1
    flags: F64  # (N,) ground truth: 0 = not scored; results: confidence
    classes: I64  # (N,)
    visibility: F64  # (N,) 0 to 1; 1 where the file has none

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def xyxy(self) -> F32:
        """(N, 4) source pixels, from 0."""
        xyxy = xywh_to_xyxy(self.xywh) - FIRST_PIXEL
        return xyxy.astype(np.float32)

    def where(self, chosen: Bool) -> Self:
        """The rows where `chosen` (N,) is True."""
        return type(self)(*(getattr(self, field.name)[chosen] for field in fields(self)))

    @classmethod
    def from_tracks(cls, frame_index: int, tracks: Tracks, classes: Sequence[str] = PEOPLE) -> Self:
        """The tracks of the frame `frame_index` (counted from 0). classes: the pair's."""
        people, numbers = len(tracks), np.array([*class_numbers(classes).values()], np.int64)
        xywh = xyxy_to_xywh(tracks.xyxy.astype(np.float64))
        xywh[:, :2] += FIRST_PIXEL
        return cls(
            frames=np.full(people, frame_index + 1),
            ids=tracks.ids.copy(),
            xywh=xywh,
            flags=tracks.scores.astype(np.float64),
            classes=np.full(people, numbers[0]) if tracks.classes is None else numbers[tracks.classes],
            visibility=np.ones(people),
        )


def class_numbers(classes: Iterable[str]) -> dict[str, int]:
    """Class -> number in the text: MOTChallenge's own, or 14 and on, in the order of the pair's."""
    others, numbers = count(LAST_NUMBER + 1), dict[str, int]()
    for name in classes:
        known = NUMBERS.get(name)
        numbers[name] = next(others) if known is None or known in numbers.values() else known
    return numbers


def read_mot(path: Path) -> MotBoxes:
    """Boxes of a file. Raises MotFormatError for a bad line, OSError where there is no such file."""
    try:
        lines = read_text(path).split("\n")
    except UnicodeDecodeError:
        raise MotFormatError(f"{path}:1: this is not text") from None
    return parse_mot(lines, str(path))


def parse_mot(lines: Iterable[str], name: str = "text") -> MotBoxes:
    """Boxes of `lines`; empty lines are skipped. Raises MotFormatError, which speaks of the file as `name`."""
    rows: list[list[float]] = []
    seen: set[tuple[float, float]] = set()
    columns = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = _parse_line(line)
            columns = columns or len(row)
            if len(row) != columns:
                raise ValueError(f"{len(row)} columns, but {columns} in the lines above")
            if row[1] > 0 and (row[0], row[1]) in seen:
                raise ValueError(f"a second box of id {row[1]:.0f} in frame {row[0]:.0f}")
        except ValueError as error:
            raise MotFormatError(f"{name}:{number}: {error}") from None
        seen.add((row[0], row[1]))
        rows.append(row)
    table = np.array(rows).reshape(len(rows), columns or 7)
    with_class, with_visibility = columns in (8, 9), columns == 9
    classes = table[:, 7].astype(np.int64) if with_class else np.full(len(rows), -1)
    return MotBoxes(
        frames=table[:, 0].astype(np.int64),
        ids=table[:, 1].astype(np.int64),
        xywh=table[:, 2:6],
        flags=table[:, 6],
        classes=np.where(classes == -1, PEDESTRIAN, classes),
        visibility=table[:, 8] if with_visibility else np.ones(len(rows)),
    )


def result_lines(boxes: MotBoxes, classes: Sequence[str] = PEOPLE) -> str:
    """Text of results: frame,id,left,top,width,height,confidence,-1,-1,-1 to a thousandth of a pixel.

    Of a pair that sees other `classes`, what follows the confidence is class,-1.
    """
    ends = ["-1,-1,-1"] * len(boxes) if tuple(classes) == PEOPLE else [f"{one},-1" for one in boxes.classes.tolist()]
    return "".join(
        f"{frame},{track},{x:.3f},{y:.3f},{w:.3f},{h:.3f},{flag:.4f},{end}\n"
        for frame, track, (x, y, w, h), flag, end in zip(
            boxes.frames.tolist(), boxes.ids.tolist(), boxes.xywh.tolist(), boxes.flags.tolist(), ends, strict=True
        )
    )


def _parse_line(line: str) -> list[float]:
    """The numbers of one line; ValueError says what is wrong with it."""
    row = [_parse_number(text) for text in line.split(",")]
    if not 7 <= len(row) <= 10:
        raise ValueError(f"expected 7 to 10 columns (frame,id,left,top,width,height,flag,...), got {len(row)}")
    frame, track, _, _, width, height, _ = row[:7]
    if frame < 1 or frame != int(frame):
        raise ValueError(f"frame must be a whole number from 1, got {frame:g}")
    if (track < 1 and track != -1) or track != int(track):
        raise ValueError(f"id must be a whole number from 1, or -1 for none, got {track:g}")
    if width <= 0 or height <= 0:
        raise ValueError(f"width and height must be positive, got {width:g} x {height:g}")
    return row


def _parse_number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{text.strip()!r} is not a number")
    return number
