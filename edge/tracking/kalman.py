"""Kalman filter over the boxes of all tracks at once, after deep SORT, with a time step in seconds.

The state of deep SORT is (x, y, a, h, vx, vy, va, vh): centre, aspect ratio w/h and height in source pixels, and
their velocities; motion is linear. Its 8x8 covariance never needs to be stored. It starts diagonal; the motion couples
a coordinate with its own velocity only; process and measurement noise are diagonal; and the measurement is the four
coordinates themselves. So the filter is four independent filters of (coordinate, velocity), each with three numbers of
covariance, and every step has a closed form without a matrix inverse. This is exact, not an approximation.

Unit of time: deep SORT counts frames. Here one unit is the frame of a 30 Hz video (`NOMINAL_FRAME_S`), so a step of
1/30 s is deep SORT's step to the last digit. Process noise of a step of n units, with q and r the variances deep SORT
adds per frame to a coordinate and to its velocity, is what n steps of one unit add together:

    var(v) += n r      cov(p, v) += r n(n-1)/2      var(p) += n q + r n(n-1)(2n-1)/6

As polynomials these hold for real n as well: a step of n then one of m equals one step of n + m for any n, m >= 0 and
unchanged height (the noise scales with height). The matrix is positive definite because q > r/12.
"""

from dataclasses import dataclass

import numpy as np

from edge.arrays import F64

NOMINAL_FRAME_S = 1 / 30
"""Seconds per unit of time in the state; velocities are kept per this unit."""
GATE_95 = 9.4877
"""Squared Mahalanobis distance that 95% of true pairs stay below: chi-square, four degrees of freedom."""

POSITION, VELOCITY, VAR_POSITION, COVARIANCE, VAR_VELOCITY = range(5)
"""Planes of a motion array, F64 (5, N, 4): each holds x, y, a, h of every track."""

_SMALLEST = np.array((1e-3, 1.0))
"""Floor of aspect ratio and height (pixels) in a prediction: a shrinking box must not turn inside out."""


@dataclass(frozen=True, slots=True)
class KalmanFilter:
    """The motion model. Holds constants only; what it knows of the tracks is in the motion arrays it is given."""

    position_weight: float = 1 / 20
    """Standard deviation of a position per frame, and of a measured one, as a share of the box's height."""
    velocity_weight: float = 1 / 160
    """Standard deviation of a velocity per frame, as a share of the box's height."""

    def initiate(self, xyah: F64) -> F64:
        """(5, N, 4) motion of N boxes (N, 4) seen for the first time, at rest."""
        motion = np.zeros((5, *xyah.shape))
        motion[POSITION] = xyah
        motion[VAR_POSITION] = self._variance(xyah, 2 * self.position_weight, 1e-4)
        motion[VAR_VELOCITY] = self._variance(xyah, 10 * self.velocity_weight, 1e-10)
        return motion

    def predict(self, motion: F64, dt_s: float | F64) -> None:
        """Move `motion` (5, N, 4) on by `dt_s` seconds, in place; a column (N, 1) gives each track its own step."""
        n = np.asarray(dt_s) / NOMINAL_FRAME_S
        position, velocity, var_position, covariance, var_velocity = motion
        q = self._variance(position, self.position_weight, 1e-4)
        r = self._variance(position, self.velocity_weight, 1e-10)
        position += n * velocity
        np.maximum(position[:, 2:], _SMALLEST, out=position[:, 2:])
        # F P F' first, from the old velocity variance, then the noise.
        carried = n * var_velocity
        var_position += n * (2 * covariance + carried + q + ((n - 1) * (2 * n - 1) / 6) * r)
        covariance += carried + (n * (n - 1) / 2) * r
        var_velocity += n * r

    def update(self, motion: F64, xyah: F64) -> F64:
        """(5, N, 4) motion after row i of it was measured at row i of `xyah` (N, 4); `motion` itself is unchanged."""
        position, velocity, var_position, covariance, var_velocity = motion
        innovation_var = var_position + self._measurement_variance(position)
        innovation = xyah - position
        gain = var_position / innovation_var
        velocity_gain = covariance / innovation_var
        rest = 1 - gain
        updated = np.empty_like(motion)
        updated[POSITION] = position + gain * innovation
        updated[VELOCITY] = velocity + velocity_gain * innovation
        updated[VAR_POSITION] = var_position * rest
        updated[COVARIANCE] = covariance * rest
        updated[VAR_VELOCITY] = var_velocity - velocity_gain * covariance
        return updated

    def gating(self, motion: F64, xyah: F64) -> F64:
        """(N, M) squared Mahalanobis distances of the tracks `motion` (5, N, 4) and the boxes `xyah` (M, 4).

        The distance is the sum over the coordinates of (z - p)^2 / s; multiplied out, it is one matrix product.
        Rounding of that form is below 1e-6 for people of a pixel or more anywhere in an 8K picture.
        """
        position = motion[POSITION]
        tracks = np.empty((len(position), 9))
        tracks[:, :4] = 1 / (motion[VAR_POSITION] + self._measurement_variance(position))
        np.multiply(tracks[:, :4], position, out=tracks[:, 4:8])
        tracks[:, 8] = np.einsum("nc,nc->n", tracks[:, 4:8], position)
        boxes = np.empty((len(xyah), 9))
        np.multiply(xyah, xyah, out=boxes[:, :4])
        np.multiply(xyah, -2, out=boxes[:, 4:8])
        boxes[:, 8] = 1
        distance: F64 = tracks @ boxes.T
        return np.maximum(distance, 0, out=distance)

    def _measurement_variance(self, position: F64) -> F64:
        return self._variance(position, self.position_weight, 1e-2)

    @staticmethod
    def _variance(position: F64, weight: float, aspect_variance: float) -> F64:
        """(N, 4) diagonal of a noise: (weight * height)^2 for x, y and h, a constant for the aspect ratio."""
        variance = np.empty_like(position)
        variance[:] = np.square(position[:, 3:] * weight)
        variance[:, 2] = aspect_variance
        return variance
