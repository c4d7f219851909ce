"""Deep SORT's Kalman filter for one track, straight from the equations: full 8x8 matrices, one frame per step."""

import numpy as np

from edge.arrays import F64


class TextbookFilter:
    """State `mean` (8,) = x, y, a, h and their velocities per frame, `covariance` (8, 8)."""

    def __init__(self, xyah: F64) -> None:
        self.mean = np.concatenate((xyah, np.zeros(4)))
        p, v = self._stds()
        self.covariance = np.diag(np.square([2 * p, 2 * p, 1e-2, 2 * p, 10 * v, 10 * v, 1e-5, 10 * v]))

    def predict(self) -> None:
        p, v = self._stds()
        motion = np.eye(8) + np.eye(8, k=4)
        noise = np.diag(np.square([p, p, 1e-2, p, v, v, 1e-5, v]))
        self.mean = motion @ self.mean
        self.covariance = motion @ self.covariance @ motion.T + noise

    def update(self, xyah: F64, noise: float = 1.0) -> None:
        """noise: of this measurement's variance, in the usual ones."""
        see, innovation = self._project(noise)
        gain = self.covariance @ see.T @ np.linalg.inv(innovation)
        self.mean = self.mean + gain @ (xyah - see @ self.mean)
        self.covariance = self.covariance - gain @ innovation @ gain.T

    def gating(self, xyah: F64) -> list[float]:
        """Squared Mahalanobis distance of each box (M, 4)."""
        see, innovation = self._project()
        inverse = np.linalg.inv(innovation)
        differences = xyah - see @ self.mean
        return [float(difference @ inverse @ difference) for difference in differences]

    def _project(self, noise: float = 1.0) -> tuple[F64, F64]:
        p, _ = self._stds()
        see = np.eye(4, 8)
        return see, see @ self.covariance @ see.T + noise * np.diag(np.square([p, p, 1e-1, p]))

    def _stds(self) -> tuple[float, float]:
        return float(self.mean[3]) / 20, float(self.mean[3]) / 160
