"""`SceneCamera`: where a point of the square appears in the picture."""

from dataclasses import dataclass

HORIZON = 0.27
"""Height of the horizon in the picture, as a share of it from the top."""
FOCAL = 1.35
"""Focal length as a share of the picture's height."""
ABOVE_GROUND_M = 3.2


@dataclass(frozen=True, slots=True)
class SceneCamera:
    """A level pinhole camera above the ground. World: x to the right, y up from the ground, z away, in metres."""

    width: int
    height: int

    @property
    def focal(self) -> float:
        """Pixels per metre at a distance of one metre."""
        return FOCAL * self.height

    @property
    def horizon(self) -> float:
        """Row of the horizon in pixels."""
        return HORIZON * self.height

    def project(self, x: float, y: float, z: float) -> tuple[float, float]:
        """Source pixel (column, row) of a world point in front of the camera."""
        return self.width / 2 + self.focal * x / z, self.horizon + self.focal * (ABOVE_GROUND_M - y) / z

    def edge_x(self, z: float, margin_m: float) -> float:
        """World x at which something of half-width `margin_m` is just outside the picture, at distance z."""
        return self.width / 2 * z / self.focal + margin_m
