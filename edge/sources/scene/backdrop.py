"""The empty square, and `SceneCamera`, which says where a point of it appears in the picture."""

from dataclasses import dataclass, replace
from math import sqrt

import cv2
import numpy as np

from edge.arrays import F32, U8


@dataclass(frozen=True, slots=True)
class Viewpoint:
    """How a camera looks at the square, and who walks there."""

    horizon: float = 0.27
    """Height of the horizon in the picture, as a share of it from the top."""
    focal: float = 1.35
    """Focal length as a share of the picture's height."""
    above_ground_m: float = 3.2
    near_m: float = 6.8
    """People walk between this distance and `far_m`."""
    far_m: float = 19.0
    pace: float = 1.0
    """How fast they walk, 1 for an ordinary walk."""


VIEWS: dict[str, Viewpoint] = {
    "square": Viewpoint(),
    "near": Viewpoint(horizon=0.3, focal=1.1, above_ground_m=2.4, near_m=3.6, far_m=6.6),
    "far": Viewpoint(horizon=0.06, focal=1.7, above_ground_m=6.5, near_m=13.0, far_m=25.0),
    "fast": Viewpoint(pace=2.2),
}
"""By the name that `synthetic://?view=` gives."""


@dataclass(frozen=True, slots=True)
class SceneCamera:
    """A level pinhole camera above the ground. World: x to the right, y up from the ground, z away, in metres."""

    width: int
    height: int
    view: Viewpoint = Viewpoint()

    @property
    def focal(self) -> float:
        """Pixels per metre at a distance of one metre."""
        return self.view.focal * self.height

    @property
    def horizon(self) -> float:
        """Row of the horizon in pixels."""
        return self.view.horizon * self.height

    def project(self, x: float, y: float, z: float) -> tuple[float, float]:
        """Source pixel (column, row) of a world point in front of the camera."""
        return self.width / 2 + self.focal * x / z, self.horizon + self.focal * (self.view.above_ground_m - y) / z

    def edge_x(self, z: float, margin_m: float) -> float:
        """World x at which something of half-width `margin_m` is just outside the picture, at distance z."""
        return self.width / 2 * z / self.focal + margin_m


HOUSES_M = 31.0
"""Distance of the houses."""
ROAD_M = (26.0, 30.0)
"""The road runs between these distances."""
SLAB_M = 0.9
WALLS = ((132, 154, 178), (160, 174, 184), (144, 156, 162), (122, 138, 164), (168, 178, 180), (138, 144, 160))
TRIMS = ((86, 80, 128), (112, 94, 70), (80, 108, 84), (84, 84, 88))


MOST_DRAWN = 1920 * 1080
"""Pixels. Larger pictures are drawn with so many and enlarged: drawing takes time and fifty bytes for each, and how
many there are is up to whoever adds a scene."""


def draw_backdrop(camera: SceneCamera, seed: int) -> U8:
    """BGR picture (H, W, 3)."""
    size = camera.width, camera.height
    share = sqrt(MOST_DRAWN / (camera.width * camera.height))
    if share >= 1:
        return _drawn(camera, seed)
    smaller = replace(camera, width=round(share * camera.width), height=round(share * camera.height))
    return np.asarray(cv2.resize(_drawn(smaller, seed), size, interpolation=cv2.INTER_LINEAR), np.uint8)


def _drawn(camera: SceneCamera, seed: int) -> U8:
    rng = np.random.default_rng([seed, 99])
    picture = np.zeros((camera.height, camera.width, 3), np.float32)
    _draw_houses(picture, camera, rng)
    _draw_ground(picture, camera, rng)
    cv2.GaussianBlur(picture, (0, 0), 0.7, dst=picture)
    picture += rng.normal(0, 2.2, picture.shape[:2])[..., None].astype(np.float32)
    return np.clip(picture, 0, 255).astype(np.uint8)


def _cloud(rng: np.random.Generator, shape: tuple[int, int], cells: int) -> F32:
    """Smooth noise of mean 0, about -1 to 1, `cells` bumps wide."""
    height, width = shape
    rows = max(2, cells * height // max(width, 1))
    noise = rng.normal(0, 0.5, (rows, cells)).astype(np.float32)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def _draw_ground(picture: F32, camera: SceneCamera, rng: np.random.Generator) -> None:
    """Slabs in perspective with joints, stains and a kerb; asphalt beyond."""
    top = int(camera.project(0, 0, HOUSES_M)[1])
    rows, columns = np.mgrid[top : camera.height, 0 : camera.width].astype(np.float32) + 0.5
    z = camera.focal * camera.view.above_ground_m / (rows - camera.horizon)
    x = (columns - camera.width / 2) * z / camera.focal
    row, shift = np.floor(z / SLAB_M), 0.5 * (np.floor(z / SLAB_M) % 2)
    column = np.floor(x / SLAB_M + shift)
    tints = rng.normal(0, 1, 4096).astype(np.float32)
    tint = tints[((row * 131 + column * 37).astype(np.int64)) % 4096]
    across, along = np.abs((x / SLAB_M + shift) % 1 - 0.5), np.abs(z / SLAB_M % 1 - 0.5)
    across_px, along_px = SLAB_M * camera.focal / z, SLAB_M * camera.focal * camera.view.above_ground_m / z**2
    joint = np.maximum(_line(across, across_px), _line(along, along_px))
    shape = rows.shape
    grey = 176 + 7 * tint + 9 * _cloud(rng, shape, 9) + 6 * _cloud(rng, shape, 60) - 34 * joint
    grey *= 0.86 + 0.14 * np.clip((rows - top) / (camera.height - top), 0, 1)
    road = (z > ROAD_M[0]) & (z < ROAD_M[1])
    grey = np.where(road, 92 + 5 * _cloud(rng, shape, 90), grey)
    kerb = np.abs(z - ROAD_M[0]) < 0.22
    grey = np.where(kerb, 186, grey)
    picture[top:] = grey[..., None] * np.array([0.95, 0.99, 1.02], np.float32)


def _line(distance: F32, slab_px: F32) -> F32:
    """Darkness of a joint: 1.6 cm wide, fading where a slab is only a few pixels."""
    width = np.maximum(0.018, 0.8 / np.maximum(slab_px, 1e-3))
    return np.asarray(np.clip((distance - 0.5 + width) / width, 0, 1) * np.clip(slab_px / 24, 0, 1), np.float32)


def _draw_houses(picture: F32, camera: SceneCamera, rng: np.random.Generator) -> None:
    """A row of houses in pale colours, and sky above the lower ones.

    Their windows lie in wide bands of little contrast: upright dark windows look like standing people to a detector.
    """
    ground = int(camera.project(0, 0, HOUSES_M)[1])
    metre = camera.focal / HOUSES_M
    picture[:ground] = np.linspace(235, 214, ground)[:, None, None] * np.array([1.0, 0.95, 0.9])
    left = -rng.uniform(0, 6) * metre
    while left < camera.width:
        right = left + rng.uniform(9, 16) * metre
        roof = ground - rng.uniform(7.4, 12.5) * metre
        wall = _colour(*WALLS[rng.integers(len(WALLS))])
        _draw_house(picture, (left, max(roof, -1.0), right, float(ground)), metre, wall, rng)
        left = right
    haze = _colour(206, 204, 200)
    picture[:ground] = (0.82 * picture[:ground] + 0.18 * haze) * (1 + 0.05 * _cloud(rng, (ground, camera.width), 40))[
        ..., None
    ]


def _draw_house(
    picture: F32, box: tuple[float, float, float, float], metre: float, wall: F32, rng: np.random.Generator
) -> None:
    """One facade inside box (left, top, right, bottom) pixels: shops on the ground, bands of windows above."""
    left, top, right, bottom = box
    _fill(picture, left, top, right, bottom, wall)
    _fill(picture, left, top, right, top + 0.3 * metre, wall * 0.86)
    _fill(picture, left, top, left + 0.15 * metre, bottom, wall * 0.88)
    shop_top = bottom - 3.1 * metre
    floor = shop_top - 0.7 * metre
    while floor - 1.6 * metre > top:
        glass = 0.45 * wall + 0.55 * _colour(150, 138, 126) * rng.uniform(0.9, 1.08)
        _draw_band(picture, (left + 0.6 * metre, floor - 1.3 * metre, right - 0.5 * metre, floor), metre, glass)
        _fill(picture, left + 0.5 * metre, floor, right - 0.4 * metre, floor + 0.12 * metre, wall * 1.08)
        floor -= 2.9 * metre
    trim = 0.5 * wall + 0.5 * _colour(*TRIMS[rng.integers(len(TRIMS))])
    _fill(picture, left + 0.15 * metre, shop_top, right, shop_top + 0.55 * metre, trim)
    front = (left + 0.5 * metre, shop_top + 0.65 * metre, right - 0.4 * metre, bottom - 0.5 * metre)
    _draw_band(picture, front, metre, 0.35 * wall + 0.65 * _colour(122, 120, 116))
    _fill(picture, left, bottom - 0.5 * metre, right, bottom, wall * 0.74)


def _draw_band(picture: F32, box: tuple[float, float, float, float], metre: float, glass: F32) -> None:
    """A row of panes inside box pixels, darker towards the top, with thin frames between them."""
    left, top, right, bottom = box
    for step in range(8):
        y = top + (bottom - top) * step / 8
        _fill(picture, left, y, right, bottom, glass * (0.93 + 0.02 * step))
    x = left + 2.4 * metre
    while x < right - metre:
        _fill(picture, x, top, x + 0.08 * metre, bottom, glass * 1.12)
        x += 2.4 * metre


def _colour(blue: float, green: float, red: float) -> F32:
    return np.array((blue, green, red), np.float32)


def _fill(picture: F32, left: float, top: float, right: float, bottom: float, colour: F32) -> None:
    """Fill a rectangle, clipped to the picture."""
    height, width = picture.shape[:2]
    x0, x1 = (int(np.clip(round(x), 0, width)) for x in (left, right))
    y0, y1 = (int(np.clip(round(y), 0, height)) for y in (top, bottom))
    picture[y0:y1, x0:x1] = colour
