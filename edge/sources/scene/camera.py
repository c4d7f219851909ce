"""`SceneCamera`: where a point of the square appears in the picture, and the views that a camera may have of it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class View:
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


VIEWS: dict[str, View] = {
    "square": View(),
    "near": View(horizon=0.3, focal=1.1, above_ground_m=2.4, near_m=3.6, far_m=6.6),
    "far": View(horizon=0.06, focal=1.7, above_ground_m=6.5, near_m=13.0, far_m=25.0),
    "fast": View(pace=2.2),
}
"""By the name that `synthetic://?view=` gives."""


@dataclass(frozen=True, slots=True)
class SceneCamera:
    """A level pinhole camera above the ground. World: x to the right, y up from the ground, z away, in metres."""

    width: int
    height: int
    view: View = View()

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
