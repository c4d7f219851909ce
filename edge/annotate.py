"""Tracks drawn onto a picture: boxes, ids, trails, and a badge that says which network saw the frame."""

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import cv2
import numpy as np

from edge.arrays import F32, U8
from edge.pipeline.pipeline import Kind, TrackedFrame
from edge.tracking.detections import Tracks
from engines.signature import PEOPLE

Colour: TypeAlias = tuple[int, int, int]
"""Blue, green, red, as OpenCV has them."""

_HUES = ("E69F00", "56B4E9", "009E73", "F0E442", "0072B2", "D55E00", "CC79A7")
"""Okabe and Ito's colours, told apart by people with any kind of colour blindness; written red, green, blue."""
_INK: Final = (24, 20, 16)
_PAPER: Final = (250, 250, 250)
_BADGES: dict[Kind, tuple[str, Colour]] = {
    "teacher": ("TEACHER", (0, 159, 230)),
    "student": ("STUDENT", (233, 180, 86)),
    "predicted": ("PREDICTED", (167, 121, 204)),
}
_FONT = cv2.FONT_HERSHEY_DUPLEX
_STEP_S = 0.08
"""Trail points are at least this far apart in time."""


def colour_of(track_id: int) -> Colour:
    """An id's colour, the same in every picture: seven hues, then the same seven paler."""
    blue, green, red = _PALETTE[track_id % len(_PALETTE)]
    return blue, green, red


def _palette() -> list[Colour]:
    full = [(int(h[4:], 16), int(h[2:4], 16), int(h[:2], 16)) for h in _HUES]
    pale = [(b + (255 - b) // 2, g + (255 - g) // 2, r + (255 - r) // 2) for b, g, r in full]
    return full + pale


_PALETTE = _palette()


@dataclass(slots=True)
class _Trail:
    """Where somebody's feet were, oldest first."""

    feet: tuple[float, float]
    """Where they were last."""
    times_s: deque[float] = field(default_factory=deque)
    points: deque[tuple[float, float]] = field(default_factory=deque)


class Annotator:
    """Draws one stream's frames, in order; remembers the trails."""

    def __init__(self, trail_s: float = 2.0) -> None:
        """`trail_s`: length of the trails, seconds; 0 for none."""
        self._trail_s = trail_s
        self._trails: dict[int, _Trail] = {}

    def draw(self, image: U8, tracked: TrackedFrame) -> None:
        """Draw onto `image` (height, width, 3) BGR, which may be the frame's own or a copy of the same size."""
        pen = max(1, round(min(image.shape[:2]) / 360))
        self._follow(tracked.tracks, tracked.frame.time_s)
        for track_id, trail in self._trails.items():
            _draw_trail(image, [*trail.points, trail.feet], colour_of(track_id), pen)
        for track_id, xyxy in zip(tracked.tracks.ids.tolist(), tracked.tracks.xyxy, strict=True):
            _draw_box(image, xyxy, colour_of(track_id), pen)
        for track_id, xyxy, name in zip(
            tracked.tracks.ids.tolist(), tracked.tracks.xyxy, tracked.class_names, strict=True
        ):
            left, top = round(float(xyxy[0])), round(float(xyxy[1]))
            label = f"{track_id}" if tracked.classes == PEOPLE else f"{track_id} {name}"
            _draw_chip(image, label, (left - pen // 2, top), colour_of(track_id), pen)
        _draw_badge(image, tracked, pen)

    def _follow(self, tracks: Tracks, now_s: float) -> None:
        """Lengthen the trails of those who are seen, shorten everybody's to `trail_s`.

        A leap of more than one's own height is no path: somebody was found again elsewhere, and the trail begins anew.
        """
        for track_id, xyxy in zip(tracks.ids.tolist(), tracks.xyxy.astype(float), strict=True):
            feet = ((xyxy[0] + xyxy[2]) / 2, xyxy[3])
            trail = self._trails.setdefault(track_id, _Trail(feet))
            if math.dist(feet, trail.feet) > xyxy[3] - xyxy[1]:
                trail = self._trails[track_id] = _Trail(feet)
            trail.feet = feet
            if not trail.times_s or not 0 <= now_s - trail.times_s[-1] < _STEP_S:
                trail.times_s.append(now_s)
                trail.points.append(feet)
        for track_id, trail in list(self._trails.items()):
            while trail.times_s and not 0 <= now_s - trail.times_s[0] <= self._trail_s:
                trail.times_s.popleft()
                trail.points.popleft()
            if not trail.times_s:
                del self._trails[track_id]


def _draw_trail(image: U8, feet: list[tuple[float, float]], colour: Colour, pen: int) -> None:
    """The older half thin, the newer half full."""
    points = _fixed(np.array(feet, np.float32))
    middle = len(points) // 2
    for part, width in ((points[: middle + 1], pen), (points[middle:], pen + 1)):
        if len(part) > 1:
            cv2.polylines(image, [part], False, colour, width, cv2.LINE_AA, shift=_SHIFT)


def _draw_box(image: U8, xyxy: F32, colour: Colour, pen: int) -> None:
    """Colour over a dark edge, so that it shows on any ground."""
    (left, top), (right, bottom) = _fixed(xyxy.reshape(2, 2)).tolist()
    for ink, width in ((_INK, pen + 2), (colour, pen)):
        cv2.rectangle(image, (left, top), (right, bottom), ink, width, cv2.LINE_AA, shift=_SHIFT)


def _draw_chip(image: U8, text: str, corner: tuple[int, int], colour: Colour, pen: int) -> int:
    """Text on a filled ground whose lower left corner is `corner`, moved into the picture where it would stick out.

    Returns the column right of it.
    """
    scale = 0.38 + 0.08 * pen
    (width, height), _ = cv2.getTextSize(text, _FONT, scale, 1)
    pad = 2 + pen
    width, height = width + 2 * pad, height + 2 * pad
    left = min(max(corner[0], 0), max(image.shape[1] - width, 0))
    bottom = min(max(corner[1], height), image.shape[0])
    cv2.rectangle(image, (left, bottom - height), (left + width, bottom), colour, cv2.FILLED)
    blue, green, red = colour
    dark = 0.114 * blue + 0.587 * green + 0.299 * red < 128
    cv2.putText(image, text, (left + pad, bottom - pad), _FONT, scale, _PAPER if dark else _INK, 1, cv2.LINE_AA)
    return int(left + width)


def _draw_badge(image: U8, tracked: TrackedFrame, pen: int) -> None:
    """Who saw the frame, how long after the teacher, and how many persons there are; top left."""
    name, colour = _BADGES[tracked.kind]
    since = f" +{tracked.since_teacher}" if tracked.since_teacher > 0 else ""
    right = _draw_chip(image, f"{name}{since}", (0, 0), colour, pen + 1)
    _draw_chip(image, f"K {tracked.settings.k}  |  {len(tracked.tracks)} tracked", (right, 0), _INK, pen + 1)


_SHIFT = 3
"""OpenCV takes coordinates in eighths of a pixel, so boxes move smoothly."""


def _fixed(points: F32) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    """(N, 2) points as OpenCV's fixed-point coordinates; far ones moved near, where OpenCV still counts right."""
    return np.clip(np.rint(points * (1 << _SHIFT)), -(2**20), 2**20).astype(np.int32)
