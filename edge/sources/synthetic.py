"""`SyntheticSource`: a drawn square with people walking over it, seeded and endless, whose truth is known."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Self
from urllib.parse import parse_qsl, urlsplit

import numpy as np

from edge.arrays import F32, I64, U8
from edge.sources.base import Frame, SourceError, SourceState, StateCell, StateObserver
from edge.sources.scene.backdrop import VIEWS, SceneCamera, draw_backdrop
from edge.sources.scene.figure import MODEL_M, PIXELS_PER_M, Figure, Shadow
from edge.sources.scene.walk import Walk, Walkers

_OPTIONS: dict[str, Callable[[str], int | float | str | bool]] = {
    "seed": int,
    "people": int,
    "fps": float,
    "width": int,
    "height": int,
    "frames": int,
    "view": str,
    "patient": {"0": False, "1": True}.__getitem__,
}
VISIBILITY_STEP = 4
"""Visibility is counted on every fourth pixel of every fourth row."""


@dataclass(frozen=True, slots=True)
class SceneTruth:
    """Who is really there in one frame: everybody whose box touches the picture, ordered by id."""

    ids: I64  # (N,)
    xyxy: F32  # (N, 4) source pixels, whole body even where hidden or outside the picture
    visibility: F32  # (N,) share of the box inside the picture and not behind the box of somebody nearer


class SyntheticSource:
    """A camera over a drawn square. Any frame and its truth can be asked for in any order; iteration is lossless."""

    live = False

    def __init__(
        self,
        *,
        width: int = 1280,
        height: int = 720,
        frame_rate: float = 30.0,
        people: int = 20,
        seed: int = 0,
        frames: int | None = None,
        view: str = "square",
        patient: bool = False,
        on_state: StateObserver | None = None,
    ) -> None:
        """`view`: one of `VIEWS`; `patient`: see `edge.sources.video`. Raises SourceError invalid_url."""
        _check(width, height, frame_rate, people, frames, seed)
        if view not in VIEWS:
            raise SourceError("invalid_url", f"synthetic://: view must be {', '.join(VIEWS)}, got {view!r}")
        self.patient = patient
        self.width, self.height = width, height
        self.frame_rate: float | None = frame_rate
        self.frame_count: int | None = frames
        self._rate = frame_rate
        self._cell = StateCell(on_state)
        self._camera = SceneCamera(width, height, VIEWS[view])
        self._crowd = Walkers(self._camera, people, seed)
        self._seed = seed
        self._figures: OrderedDict[int, Figure] = OrderedDict()
        self._figures_kept = 2 * people + 1
        self._shadow = Shadow()

    @classmethod
    def from_url(cls, url: str, on_state: StateObserver | None = None) -> Self:
        """From synthetic://?NAME=VALUE&... with the names of `_OPTIONS`. Raises SourceError invalid_url."""
        values: dict[str, int | float | str | bool] = {}
        for name, text in parse_qsl(urlsplit(url).query, keep_blank_values=True):
            if name not in _OPTIONS:
                raise SourceError("invalid_url", f"synthetic:// knows {', '.join(_OPTIONS)}; got {name!r}")
            try:
                values["frame_rate" if name == "fps" else name] = _OPTIONS[name](text)
            except (ValueError, KeyError):
                kind = "0 or 1" if name == "patient" else "a number"
                raise SourceError("invalid_url", f"synthetic://: {name} must be {kind}, got {text!r}") from None
        return cls(**values, on_state=on_state)  # type: ignore[arg-type]

    @property
    def state(self) -> SourceState:
        return self._cell.now

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        try:
            while not self._cell.closed.is_set() and index != self.frame_count:
                self._cell.running()
                yield Frame(self.image(index), index, index / self._rate, time.time(), "media", index)
                index += 1
        finally:
            self._cell.ended()

    def close(self) -> None:
        self._cell.closed.set()

    @cached_property
    def _backdrop(self) -> U8:
        """Drawn with the first picture: seconds at the largest size, for which whoever adds a scene does not wait."""
        return draw_backdrop(self._camera, self._seed)

    def image(self, index: int) -> U8:
        """The picture (H, W, 3) BGR of one frame."""
        picture = self._backdrop.copy()
        time_s = index / self._rate
        for walk, x, z in self._crowd.walks(time_s):
            scale = self._camera.focal / z * walk.height_m / MODEL_M / PIXELS_PER_M
            column, row = self._camera.project(x, 0.0, z)
            self._shadow.lay_over(picture, column, row, self._camera.focal / z)
            self._figure(walk).drawing(walk.gait(time_s)).lay_over(picture, column, row, scale)
        return picture

    def truth(self, index: int) -> SceneTruth:
        """Who is in one frame."""
        walks = self._crowd.walks(index / self._rate)
        ids = np.array([walk.id for walk, _, _ in walks], np.int64)
        xyxy = np.array([self._box(*entry) for entry in walks], np.float32).reshape(-1, 4)
        visibility = _visibility(xyxy, self.width, self.height)
        left, top, right, bottom = xyxy.T
        inside = (right > 0) & (left < self.width) & (bottom > 0) & (top < self.height)
        rows = np.flatnonzero(inside)[np.argsort(ids[inside], kind="stable")]
        return SceneTruth(ids[rows], xyxy[rows], visibility[rows])

    def _box(self, walk: Walk, x: float, z: float) -> tuple[float, float, float, float]:
        figure = self._figure(walk)
        column, row = self._camera.project(x, 0.0, z)
        metre = self._camera.focal / z * walk.height_m / MODEL_M
        left, right = column + figure.left_m * metre, column + figure.right_m * metre
        return left, row - figure.top_m * metre, right, row

    def _figure(self, walk: Walk) -> Figure:
        """The drawings of a person, kept while they are on the way."""
        figure = self._figures.pop(walk.id, None) or Figure(walk.look, walk.yaw)
        self._figures[walk.id] = figure
        while len(self._figures) > self._figures_kept:
            self._figures.popitem(last=False)
        return figure


def _visibility(xyxy: F32, width: int, height: int) -> F32:
    """Visible share of each box (N, 4), the nearest box last: paint them in this order, then count."""
    canvas = np.full((height // VISIBILITY_STEP, width // VISIBILITY_STEP), -1, np.int32)
    cells = xyxy / VISIBILITY_STEP
    clipped = np.clip(np.round(cells), 0, [canvas.shape[1], canvas.shape[0]] * 2).astype(int)
    for i, (left, top, right, bottom) in enumerate(clipped):
        canvas[top:bottom, left:right] = i
    seen = np.bincount(canvas[canvas >= 0], minlength=len(xyxy))
    area = np.maximum((cells[:, 2] - cells[:, 0]) * (cells[:, 3] - cells[:, 1]), 1e-6)
    return np.minimum(seen / area, 1.0).astype(np.float32)


def _check(width: int, height: int, frame_rate: float, people: int, frames: int | None, seed: int) -> None:
    """Raise SourceError invalid_url when a number is out of range."""
    for name, value, low, high in (
        ("width", width, 64, 7680),
        ("height", height, 64, 4320),
        ("fps", frame_rate, 0.1, 240),
        ("people", people, 0, 500),
        ("seed", seed, 0, 2**63),
        ("frames", 1 if frames is None else frames, 0, math.inf),
    ):
        if not low <= value <= high:
            raise SourceError("invalid_url", f"synthetic://: {name} must be {low} to {high}, got {value}")
