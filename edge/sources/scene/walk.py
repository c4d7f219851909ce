"""Who walks where and when: a pure function of seed and time, so that any frame can be asked for in any order."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from edge.sources.scene.backdrop import SceneCamera

SLOWEST_M_S, FASTEST_M_S = 1.05, 1.5
MARGIN_M = 0.7
"""People appear and leave this far outside the picture."""
STRIDE_M = 1.25
"""Ground covered by one cycle of two steps, for a person of 1.75 m."""


@dataclass(frozen=True, slots=True)
class Walk:
    """One person's way across the square: a straight line at constant speed."""

    id: int
    begin_s: float
    duration_s: float
    start_xz: tuple[float, float]
    end_xz: tuple[float, float]
    height_m: float
    look: int  # seed of body and clothes
    step_offset: float  # phase of the gait at the start, radians

    @property
    def yaw(self) -> float:
        """Heading as the camera sees it halfway: 0 to the right, pi/2 away from it, -pi/2 towards it."""
        (x0, z0), (x1, z1) = self.start_xz, self.end_xz
        sideways = math.atan2((x0 + x1) / 2, (z0 + z1) / 2)
        return math.atan2(z1 - z0, x1 - x0) + sideways

    def place(self, time_s: float) -> tuple[float, float] | None:
        """World (x, z) at a time; None before and after the walk."""
        share = (time_s - self.begin_s) / self.duration_s
        if not 0.0 <= share < 1.0:
            return None
        (x0, z0), (x1, z1) = self.start_xz, self.end_xz
        return x0 + share * (x1 - x0), z0 + share * (z1 - z0)

    def gait(self, time_s: float) -> float:
        """Phase of the step at a time, radians."""
        (x0, z0), (x1, z1) = self.start_xz, self.end_xz
        walked_m = math.hypot(x1 - x0, z1 - z0) * (time_s - self.begin_s) / self.duration_s
        return self.step_offset + 2 * math.pi * walked_m / (STRIDE_M * self.height_m / 1.75)


class Walkers:
    """`people` slots; each slot sends one person after another over the same line, in either direction."""

    def __init__(self, camera: SceneCamera, people: int, seed: int) -> None:
        self._people, self._seed, self._pace = people, seed, camera.view.pace
        self._lines = [self._line(camera, slot) for slot in range(people)]
        self._shifts = [self._shift(slot) for slot in range(people)]
        self._walk = lru_cache(maxsize=8 * max(people, 1))(self._make_walk)

    def walks(self, time_s: float) -> list[tuple[Walk, float, float]]:
        """(walk, x, z) of everybody on the way at a time, the farthest first."""
        present = []
        for slot, (_, _, period_s) in enumerate(self._lines):
            walk = self._walk(slot, math.floor(time_s / period_s + self._shifts[slot]))
            place = walk.place(time_s)
            if place is not None:
                present.append((walk, *place))
        return sorted(present, key=lambda entry: (-entry[2], entry[0].id))

    def _line(self, camera: SceneCamera, slot: int) -> tuple[tuple[float, float], tuple[float, float], float]:
        """Both ends of a slot's line and the seconds between two people on it. Every fourth slot keeps company."""
        rng = np.random.default_rng([self._seed, slot - (slot % 4 == 3)])
        near_m, far_m = camera.view.near_m, camera.view.far_m
        depth = (slot + 0.5) / max(self._people, 1) if slot % 4 != 3 else (slot - 0.5) / self._people
        z0 = near_m * (far_m / near_m) ** float(np.clip(depth + rng.uniform(-0.08, 0.08), 0, 1))
        slant = rng.uniform(0.9, 1.12) if rng.random() < 0.6 else rng.choice([0.45, 2.2])
        z1 = float(np.clip(z0 * slant, near_m, far_m))
        if slot % 4 == 3:
            z0, z1 = z0 + 0.7, z1 + 0.7
        start, end = (-camera.edge_x(z0, MARGIN_M), z0), (camera.edge_x(z1, MARGIN_M), z1)
        return start, end, math.dist(start, end) / (SLOWEST_M_S * self._pace) + 1.0

    def _shift(self, slot: int) -> float:
        """Share of its period by which a slot is ahead, so that people do not start all at once."""
        return float(np.random.default_rng([self._seed, slot - (slot % 4 == 3), 1]).random())

    def _make_walk(self, slot: int, turn: int) -> Walk:
        leader = slot - (slot % 4 == 3)
        shared = np.random.default_rng([self._seed, leader, 2, turn & 0xFFFFFFFF])
        own = np.random.default_rng([self._seed, slot, 3, turn & 0xFFFFFFFF])
        start, end, period_s = self._lines[slot]
        if shared.random() < 0.5:
            start, end = end, start
        speed = shared.uniform(SLOWEST_M_S, FASTEST_M_S) * self._pace
        return Walk(
            id=turn * self._people + slot + 1,
            begin_s=(turn - self._shifts[slot]) * period_s,
            duration_s=math.dist(start, end) / speed,
            start_xz=start,
            end_xz=end,
            height_m=float(own.uniform(1.58, 1.88)),
            look=int(own.integers(2**31)),
            step_offset=float(own.uniform(0, 2 * math.pi)),
        )
