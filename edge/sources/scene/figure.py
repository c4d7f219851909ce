"""`Figure`: a walking person modelled by shaded round limbs, drawn once per phase of the step and then reused."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import cv2
import numpy as np

from edge.arrays import F32, U8

LEVELS = 4
"""A drawing is kept at full size and halved again and again, because the warp looks at four pixels only."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """Pixels with an anchor: the point of the drawing that is put somewhere."""

    levels: tuple[tuple[U8, U8], ...]
    """Per size (colour BGR times opacity, 255 * (1 - opacity)), each (h, w, 3)."""
    anchor: tuple[float, float]
    """(x, y) in pixels of the first level."""

    @classmethod
    def make(cls, colour: F32, opacity: F32, anchor: tuple[float, float]) -> Self:
        """From colour (h, w, 3) in 0..255 and opacity (h, w) in 0..1; empty borders are cut off."""
        rows, columns = np.flatnonzero(opacity.any(axis=1)), np.flatnonzero(opacity.any(axis=0))
        window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        solid = opacity[window][..., None]
        seen = np.clip(colour[window], 0, 255) * solid
        full = np.round(np.concatenate([seen, 255 * (1 - solid)], axis=2)).astype(np.uint8)
        levels = []
        for _ in range(LEVELS):
            levels.append((np.ascontiguousarray(full[..., :3]), np.repeat(full[..., 3:], 3, axis=2)))
            size = (max(2, full.shape[1] // 2), max(2, full.shape[0] // 2))
            full = np.asarray(cv2.resize(full, size, interpolation=cv2.INTER_AREA), np.uint8)
        return cls(tuple(levels), (anchor[0] - float(columns[0]), anchor[1] - float(rows[0])))

    def lay_over(self, picture: U8, column: float, row: float, scale: float) -> None:
        """Blend into `picture` (H, W, 3) in place, the anchor at (column, row), exact to a fraction of a pixel."""
        height, width = self.levels[0][0].shape[:2]
        left, top = column - self.anchor[0] * scale, row - self.anchor[1] * scale
        x0, y0 = max(0, math.floor(left)), max(0, math.floor(top))
        x1 = min(picture.shape[1], math.ceil(left + width * scale))
        y1 = min(picture.shape[0], math.ceil(top + height * scale))
        if x1 <= x0 or y1 <= y0:
            return
        level = min(LEVELS - 1, max(0, math.floor(-math.log2(scale))))
        colour, see_through = self.levels[level]
        fx, fy = scale * width / colour.shape[1], scale * height / colour.shape[0]
        warp = np.array([[fx, 0, left - x0 + 0.5 * fx - 0.5], [0, fy, top - y0 + 0.5 * fy - 0.5]])
        size, clear = (x1 - x0, y1 - y0), (255, 255, 255)
        window = picture[y0:y1, x0:x1]
        veil = cv2.warpAffine(see_through, warp, size, flags=cv2.INTER_LINEAR, borderValue=clear)
        cv2.multiply(window, veil, dst=window, scale=1 / 255)
        cv2.add(window, cv2.warpAffine(colour, warp, size, flags=cv2.INTER_LINEAR), dst=window)


WIDTH_M, HEIGHT_M = 1.3, 0.42
FEET = 0.44
"""Where the feet stand along its width: the light comes from the left."""
DARKNESS = 0.5
"""Under the feet, 0 to 1."""


class Shadow:
    """Spots of every size asked for so far; sizes are whole pixels, so there are few."""

    def __init__(self) -> None:
        self._veils: dict[int, U8] = {}

    def lay_over(self, picture: U8, column: float, row: float, metre: float) -> None:
        """Darken `picture` (H, W, 3) in place around the feet at (column, row); one metre there is `metre` pixels."""
        width = max(2, round(WIDTH_M * metre))
        veil = self._veils.get(width)
        if veil is None:
            veil = self._veils[width] = _veil(width)
        left, top = round(column - FEET * width), round(row - veil.shape[0] / 2)
        x0, y0 = max(0, left), max(0, top)
        x1, y1 = min(picture.shape[1], left + width), min(picture.shape[0], top + veil.shape[0])
        if x1 > x0 and y1 > y0:
            window = picture[y0:y1, x0:x1]
            cv2.multiply(window, veil[y0 - top : y1 - top, x0 - left : x1 - left], dst=window, scale=1 / 255)


def _veil(width: int) -> U8:
    """What is left of the light (h, width, 3), 255 = all."""
    height = max(2, round(width * HEIGHT_M / WIDTH_M))
    y, x = np.mgrid[0:height, 0:width]
    distance = np.hypot((x + 0.5) / width * 2 - 1, (y + 0.5) / height * 2 - 1)
    light = 255 * (1 - DARKNESS * np.clip(1 - distance, 0, 1) ** 1.2)
    return np.repeat(light.astype(np.uint8)[..., None], 3, axis=2)


PIXELS_PER_M = 104
"""Resolution of the drawings."""
CANVAS_M = (1.36, 2.06)
"""Width and height of a drawing, metres; feet stand 0.06 m above its lower edge."""
GROUND_M = 0.06
PHASES = 16
"""Drawings per cycle of two steps."""
MODEL_M = 1.75
"""Height of the modelled body; others are scaled."""
LIGHT = np.array([-0.45, 0.75, 0.48], np.float32)  # towards the light: from the upper left, in front
AMBIENT = 0.42

Point = tuple[float, float, float]
Colour = tuple[int, int, int]  # BGR

SKINS: tuple[Colour, ...] = ((150, 180, 224), (120, 152, 205), (90, 118, 170), (62, 84, 128), (42, 58, 92))
HAIRS: tuple[Colour, ...] = ((24, 26, 30), (36, 46, 66), (50, 76, 108), (90, 132, 168), (120, 120, 124))
TOPS: tuple[Colour, ...] = (
    (34, 29, 26), (63, 41, 24), (40, 40, 99), (135, 135, 135), (79, 87, 92), (46, 63, 49), (99, 73, 41),
    (73, 99, 125), (32, 32, 34), (55, 34, 61), (40, 92, 132), (116, 106, 86),
)  # fmt: skip
LEGS: tuple[Colour, ...] = ((61, 44, 29), (26, 25, 25), (49, 46, 45), (73, 83, 94), (79, 57, 38), (34, 38, 44))
BAGS: tuple[Colour, ...] = ((46, 42, 40), (70, 52, 40), (44, 48, 96), (52, 74, 62))
SHOES: tuple[Colour, ...] = ((32, 32, 34), (48, 58, 80), (210, 210, 210), (70, 70, 72))


@dataclass(frozen=True, slots=True)
class Limb:
    """A round cone between two points of the body (x to its right, y up, z forward; metres)."""

    begin: Point
    end: Point
    begin_radius: float
    end_radius: float
    colour: Colour
    hem: float = -1.0
    """Nothing of it is drawn below this height."""


@dataclass(frozen=True, slots=True)
class Outfit:
    """What tells one person from another."""

    skin: Colour
    hair: Colour
    top: Colour
    sleeve: Colour
    legs: Colour
    shin: Colour
    shoes: Colour
    bag: Colour | None
    coat: bool
    long_hair: bool
    girth: float  # 1 = slim

    @classmethod
    def draw_lots(cls, rng: np.random.Generator) -> "Outfit":
        """A random but plausible person."""
        skin, hair = SKINS[rng.integers(len(SKINS))], HAIRS[rng.integers(len(HAIRS))]
        top, legs = TOPS[rng.integers(len(TOPS))], LEGS[rng.integers(len(LEGS))]
        warm, shorts = rng.random() < 0.75, rng.random() < 0.15
        return cls(
            skin=skin,
            hair=hair,
            top=top,
            sleeve=top if warm else skin,
            legs=legs,
            shin=skin if shorts else legs,
            shoes=SHOES[rng.integers(len(SHOES))],
            bag=BAGS[rng.integers(len(BAGS))] if rng.random() < 0.3 else None,
            coat=bool(warm and rng.random() < 0.35),
            long_hair=bool(rng.random() < 0.4),
            girth=float(rng.uniform(1.02, 1.3)),
        )


class Figure:
    """One person seen under one heading: drawings by phase, and the box around them."""

    def __init__(self, look: int, yaw: float) -> None:
        self._rng = np.random.default_rng(look)
        self._outfit = Outfit.draw_lots(self._rng)
        self._cloth = _cloth_noise(self._rng)
        self._yaw = yaw
        self._drawings: dict[int, Drawing] = {}
        extents = [self._extent(2 * math.pi * i / PHASES) for i in range(0, PHASES, 2)]
        self.left_m, self.right_m, self.top_m = (float(x) for x in np.mean(extents, axis=0))
        """Mean extent from the body's axis and from the ground over the step, metres for a person of `MODEL_M`."""

    def drawing(self, gait: float) -> Drawing:
        """The person at a phase of the step, radians; the anchor is where the body's axis meets the ground."""
        phase = round(gait / (2 * math.pi) * PHASES) % PHASES
        if phase not in self._drawings:
            limbs = list(self._turned(body(self._outfit, 2 * math.pi * phase / PHASES)))
            self._drawings[phase] = _render(limbs, self._cloth)
        return self._drawings[phase]

    def _turned(self, limbs: list[Limb]) -> Iterator[Limb]:
        """The limbs in view coordinates: x right, y up, z towards the camera."""
        cos, sin = math.cos(self._yaw), math.sin(self._yaw)

        def turn(point: Point) -> Point:
            right, up, ahead = point
            return ahead * cos + right * sin, up, right * cos - ahead * sin

        for limb in limbs:
            yield replace(limb, begin=turn(limb.begin), end=turn(limb.end))

    def _extent(self, gait: float) -> tuple[float, float, float]:
        limbs = list(self._turned(body(self._outfit, gait)))
        ends = [(limb.begin, limb.begin_radius) for limb in limbs] + [(limb.end, limb.end_radius) for limb in limbs]
        return min(p[0] - r for p, r in ends), max(p[0] + r for p, r in ends), max(p[1] + r for p, r in ends)


def body(outfit: Outfit, gait: float) -> list[Limb]:
    """The limbs of a person of `MODEL_M` at a phase of the step; the lower foot touches the ground."""
    limbs: list[Limb] = []
    g = outfit.girth
    for side, phase in ((-1.0, gait), (1.0, gait + math.pi)):
        limbs += _leg(outfit, side, phase)
    lowest = min(min(limb.begin[1] - limb.begin_radius, limb.end[1] - limb.end_radius) for limb in limbs)
    for side, phase in ((-1.0, gait + math.pi), (1.0, gait)):
        limbs += _arm(outfit, side, phase)
    sway = 0.015 * math.cos(gait)
    for x in (-0.085 * g, 0.085 * g):
        limbs.append(Limb((x * 0.9, 0.95, 0.0), (x, 1.36, 0.02), 0.118 * g, 0.112 * g, outfit.top))
        if outfit.coat:
            limbs.append(Limb((x * 0.9, 0.95, 0.0), (x * 1.15, 0.55, 0.0), 0.125 * g, 0.145 * g, outfit.top, hem=0.64))
        else:
            limbs.append(Limb((x * 0.9, 0.93, 0.0), (x * 0.85, 0.88, 0.0), 0.112 * g, 0.105 * g, outfit.legs))
    limbs.append(Limb((-0.13 * g, 1.40, 0.0), (0.13 * g, 1.40, 0.0), 0.072, 0.072, outfit.top))
    limbs.append(Limb((0.0, 1.42, 0.01), (sway, 1.53, 0.03), 0.056, 0.052, outfit.skin))
    limbs.append(Limb((sway, 1.585, 0.055), (sway, 1.655, 0.045), 0.078, 0.088, outfit.skin))
    limbs.append(Limb((sway, 1.66, 0.005), (sway, 1.62, -0.005), 0.098, 0.092, outfit.hair))
    if outfit.long_hair:
        limbs.append(Limb((sway, 1.62, -0.03), (sway, 1.44, -0.06), 0.09, 0.07, outfit.hair))
    if outfit.bag is not None:
        limbs.append(Limb((0.0, 1.08, -0.2), (0.0, 1.32, -0.19), 0.125, 0.115, outfit.bag))
    return [_lifted(limb, -lowest) for limb in limbs]


def _leg(outfit: Outfit, side: float, phase: float) -> list[Limb]:
    """Thigh, shin and shoe; the knee bends while the leg swings forward."""
    swing, bend = 0.33 * math.sin(phase), 0.08 + 0.75 * max(0.0, math.cos(phase)) ** 2
    g = outfit.girth
    hip: Point = (side * 0.09, 0.92, 0.0)
    knee: Point = (side * 0.085, hip[1] - 0.42 * math.cos(swing), 0.42 * math.sin(swing))
    lower = swing - bend
    ankle: Point = (side * 0.08, knee[1] - 0.41 * math.cos(lower), knee[2] + 0.41 * math.sin(lower))
    tilt = -0.25 + 0.5 * lower
    toe: Point = (side * 0.095, ankle[1] - 0.05 + 0.17 * math.sin(tilt + 0.25), ankle[2] + 0.14)
    return [
        Limb(hip, knee, 0.098 * g, 0.066 * g, outfit.legs),
        Limb(knee, ankle, 0.064 * g, 0.045, outfit.shin),
        Limb((ankle[0], ankle[1] - 0.03, ankle[2] - 0.02), toe, 0.048, 0.036, outfit.shoes),
    ]


def _arm(outfit: Outfit, side: float, phase: float) -> list[Limb]:
    """Upper arm, forearm and hand, swinging against the leg of the same side."""
    swing = 0.27 * math.sin(phase)
    fore = swing + 0.22 + 0.10 * math.sin(phase)
    g = outfit.girth
    shoulder: Point = (side * 0.185 * g, 1.40, 0.0)
    elbow: Point = (side * 0.225 * g, 1.40 - 0.28 * math.cos(swing), 0.28 * math.sin(swing))
    wrist: Point = (side * 0.215 * g, elbow[1] - 0.24 * math.cos(fore), elbow[2] + 0.24 * math.sin(fore))
    hand: Point = (wrist[0], wrist[1] - 0.07, wrist[2] + 0.02)
    return [
        Limb(shoulder, elbow, 0.062 * g, 0.048, outfit.top),
        Limb(elbow, wrist, 0.047, 0.036, outfit.sleeve),
        Limb(wrist, hand, 0.036, 0.034, outfit.skin),
    ]


def _lifted(limb: Limb, by: float) -> Limb:
    (x0, y0, z0), (x1, y1, z1) = limb.begin, limb.end
    return replace(limb, begin=(x0, y0 + by, z0), end=(x1, y1 + by, z1), hem=limb.hem + by)


def _render(limbs: list[Limb], cloth: F32) -> Drawing:
    """Draw limbs (view coordinates) with a depth buffer and one light."""
    width, height = (round(side * PIXELS_PER_M) for side in CANVAS_M)
    canvas = Canvas(
        depth=np.full((height, width), -9.0, np.float32),
        light=np.zeros((height, width), np.float32),
        opacity=np.zeros((height, width), np.float32),
        limb=np.zeros((height, width), np.uint8),
    )
    for number, limb in enumerate(limbs):
        _render_limb(limb, number, canvas)
    up_m = (height - np.arange(height, dtype=np.float32)) / PIXELS_PER_M - GROUND_M
    sky = 0.78 + 0.22 * np.clip(up_m / 0.9, 0, 1)  # less of it reaches the legs
    colours = np.array([limb.colour for limb in limbs], np.float32)
    colour = colours[canvas.limb] * (canvas.light * cloth * sky[:, None])[..., None]
    return Drawing.make(
        colour.astype(np.float32, copy=False), canvas.opacity, (width / 2, height - GROUND_M * PIXELS_PER_M)
    )


@dataclass(frozen=True, slots=True)
class Canvas:
    """Buffers of one drawing, each (h, w)."""

    depth: F32  # towards the viewer, metres
    light: F32
    opacity: F32
    limb: U8  # number of the limb that is seen


def _render_limb(limb: Limb, number: int, canvas: Canvas) -> None:
    """Draw one limb into the buffers where it is nearest."""
    height, width = canvas.depth.shape
    (x0, y0, z0), (x1, y1, z1) = limb.begin, limb.end
    reach = max(limb.begin_radius, limb.end_radius) + 0.02
    left = max(0, int((min(x0, x1) - reach + CANVAS_M[0] / 2) * PIXELS_PER_M))
    right = min(width, int((max(x0, x1) + reach + CANVAS_M[0] / 2) * PIXELS_PER_M) + 1)
    top = max(0, height - int((max(y0, y1) + reach + GROUND_M) * PIXELS_PER_M) - 1)
    bottom = min(height, height - int((min(y0, y1) - reach + GROUND_M) * PIXELS_PER_M))
    xs = (np.arange(left, right, dtype=np.float32) + 0.5) / PIXELS_PER_M - CANVAS_M[0] / 2
    ys = ((height - np.arange(top, bottom, dtype=np.float32) - 0.5) / PIXELS_PER_M - GROUND_M)[:, None]
    along = (xs - x0) * (x1 - x0) + (ys - y0) * (y1 - y0)
    share = np.clip(along / max((x1 - x0) ** 2 + (y1 - y0) ** 2, 1e-6), 0, 1)
    radius = limb.begin_radius + share * (limb.end_radius - limb.begin_radius)
    off_x, off_y = xs - x0 - share * (x1 - x0), ys - y0 - share * (y1 - y0)
    off2 = off_x**2 + off_y**2
    bulge = np.sqrt(np.maximum(radius**2 - off2, 0))
    front = z0 + share * (z1 - z0) + bulge
    cover = np.clip((radius - np.sqrt(off2)) * PIXELS_PER_M + 0.5, 0, 1) * (ys > limb.hem)
    window = np.s_[top:bottom, left:right]
    np.maximum(canvas.opacity[window], cover, out=canvas.opacity[window])
    nearest = (cover > 0) & (front > canvas.depth[window])
    shine = np.maximum((off_x * LIGHT[0] + off_y * LIGHT[1] + bulge * LIGHT[2]) / radius, 0)
    np.copyto(canvas.depth[window], front, where=nearest)
    np.copyto(canvas.light[window], AMBIENT + (1.12 - AMBIENT) * shine, where=nearest)
    np.copyto(canvas.limb[window], np.uint8(number), where=nearest)


def _cloth_noise(rng: np.random.Generator) -> F32:
    """Factors around 1 that look like folds and weave, at the size of a drawing."""
    width, height = (round(side * PIXELS_PER_M) for side in CANVAS_M)
    folds = cv2.resize(rng.normal(0, 1, (height // 10, width // 14)).astype(np.float32), (width, height))
    weave = rng.normal(0, 1, (height, width)).astype(np.float32)
    return np.asarray(np.clip(1 + 0.09 * folds + 0.035 * weave, 0.6, 1.4), np.float32)
