"""A judged frame drawn onto its picture: people found are green, missed red and tinted, false boxes orange and crossed.

Such pictures show whoever was filmed, and fall under the licence of the data.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from benchmarks.failure_frames import JudgedFrame, Verdict
from edge.arrays import F32, U8

Colour = tuple[int, int, int]
FOUND: Colour = (115, 158, 0)
MISSED: Colour = (30, 30, 215)
FALSE: Colour = (0, 159, 230)
"""Blue, green, red, as OpenCV has them."""
_INK: Colour = (24, 20, 16)
_PAPER: Colour = (250, 250, 250)
_TINT = 0.3
_LINE_PX = 24
"""Height of a line of the legend, which goes below the picture."""


def describe(frame: JudgedFrame) -> str:
    """Number of the frame, and who saw it."""
    since = {-1: "student", 0: "keyframe"}.get(frame.since_keyframe, f"keyframe + {frame.since_keyframe}")
    return f"frame {frame.number} ({since})"


def draw(image: U8, name: str, frame: JudgedFrame) -> U8:
    """A copy of the picture (height, width, 3) BGR with everybody in it and a legend below."""
    picture = image.copy()
    pen = max(2, round(min(image.shape[:2]) / 360))
    right = frame.results.xyxy[frame.verdicts == Verdict.RIGHT]
    missed = frame.people.xyxy[~frame.found]
    false = frame.results.xyxy[frame.verdicts != Verdict.RIGHT]
    _tint(picture, missed)
    _outline(picture, right, FOUND, pen)
    _outline(picture, missed, MISSED, pen + 1)
    _outline(picture, false, FALSE, pen + 1, crossed=True)
    counts = ((FOUND, f"found {len(right)}"), (MISSED, f"missed {len(missed)}"), (FALSE, f"false {len(false)}"))
    return np.concatenate((picture, _legend(image.shape[1], f"{name}, {describe(frame)}", counts)))


def _tint(picture: U8, boxes: F32) -> None:
    """Mix MISSED into the boxes, once where they overlap."""
    mask = np.zeros(picture.shape[:2], bool)
    for left, top, right, bottom in np.clip(boxes.round(), 0, None).astype(int).tolist():
        mask[top:bottom, left:right] = True
    picture[mask] = ((1 - _TINT) * picture[mask] + _TINT * np.array(MISSED)).astype(np.uint8)


def _outline(picture: U8, boxes: F32, colour: Colour, pen: int, crossed: bool = False) -> None:
    for left, top, right, bottom in boxes.round().astype(int).tolist():
        cv2.rectangle(picture, (left, top), (right, bottom), colour, pen, cv2.LINE_AA)
        if crossed:
            cv2.line(picture, (left, top), (right, bottom), colour, 1, cv2.LINE_AA)
            cv2.line(picture, (left, bottom), (right, top), colour, 1, cv2.LINE_AA)


def _legend(width: int, text: str, counts: Sequence[tuple[Colour, str]]) -> U8:
    """Two lines as wide as the picture: what it is, and what the colours mean."""
    legend: U8 = np.full((2 * _LINE_PX, width, 3), _INK, np.uint8)
    _write(legend, text, 8, _LINE_PX - 7)
    left = 8
    for colour, words in counts:
        cv2.rectangle(legend, (left, _LINE_PX + 6), (left + 12, _LINE_PX + 18), colour, cv2.FILLED)
        left = _write(legend, words, left + 18, 2 * _LINE_PX - 7) + 18
    return legend


def _write(image: U8, text: str, left: int, base: int) -> int:
    """Returns the column right of the text."""
    font, scale = cv2.FONT_HERSHEY_DUPLEX, 0.45
    cv2.putText(image, text, (left, base), font, scale, _PAPER, 1, cv2.LINE_AA)
    return left + int(cv2.getTextSize(text, font, scale, 1)[0][0])
