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


_INITIAL, _PROCESS, _MEASURED = 1e-4, 1e-4, 1e-2
"""Variances of the aspect ratio: at first sight, added per frame, of a measurement. Those of x, y, h go with height."""
_ASPECT_VELOCITY = 1e-10
"""Variance of the aspect ratio's velocity, at first sight and added per frame."""


class KalmanFilter:
    """The motion model. Holds constants only; what it knows of the tracks is in the motion arrays it is given.

    A variance (N, 4) is height^2 * scale + offset, each (4,): for x, y, h a share of the height, for a a constant.
    """

    def __init__(self, position_weight: float = 1 / 20, velocity_weight: float = 1 / 160) -> None:
        """Weights: standard deviation of a position, and of a velocity per frame, as a share of the box's height."""
        self._initial = _variance(2 * position_weight, _INITIAL)
        self._initial_velocity = _variance(10 * velocity_weight, _ASPECT_VELOCITY)
        self._measured = _variance(position_weight, _MEASURED)
        self._process = _variance(position_weight, _PROCESS)  # q
        self._velocity_process = _variance(velocity_weight, _ASPECT_VELOCITY)  # r

    def initiate(self, xyah: F64) -> F64:
        """(5, N, 4) motion of N boxes (N, 4) seen for the first time, at rest."""
        height2 = np.square(xyah[:, 3:])
        motion = np.zeros((5, *xyah.shape))
        motion[POSITION] = xyah
        motion[VAR_POSITION] = height2 * self._initial[0] + self._initial[1]
        motion[VAR_VELOCITY] = height2 * self._initial_velocity[0] + self._initial_velocity[1]
        return motion

    def predict(self, motion: F64, dt_s: float | F64) -> None:
        """Move `motion` (5, N, 4) on by `dt_s` seconds, one for all or (N,), in place."""
        n = np.asarray(dt_s)[..., None] / NOMINAL_FRAME_S
        position, velocity, var_position, covariance, var_velocity = motion
        height2 = np.square(position[:, 3:])
        position += n * velocity
        np.maximum(position[:, 2:], _SMALLEST, out=position[:, 2:])
        # The covariance carried along by the motion, then the noise of n frames.
        carried = covariance + n * var_velocity
        covariance += carried
        var_position += n * covariance
        covariance[:] = carried
        var_position += n * (height2 * self._process[0] + self._process[1])
        noise = n * (height2 * self._velocity_process[0] + self._velocity_process[1])
        var_position += (n - 1) * (2 * n - 1) / 6 * noise
        covariance += (n - 1) / 2 * noise
        var_velocity += noise

    def update(self, motion: F64, xyah: F64, noise: F64 | float = 1.0) -> F64:
        """(5, N, 4) motion after row i of it was measured at row i of `xyah` (N, 4); `motion` itself is unchanged.

        noise: how many times the usual variance the measurements have, one number for all or (N, 4).
        """
        innovation = self._innovation_variance(motion, noise)
        gains = motion[VAR_POSITION:VAR_VELOCITY] / innovation  # of position and velocity
        updated = np.empty_like(motion)
        np.multiply(gains, xyah - motion[POSITION], out=updated[:VAR_POSITION])
        updated[:VAR_POSITION] += motion[:VAR_POSITION]
        np.multiply(motion[VAR_POSITION:VAR_VELOCITY], 1 - gains[0], out=updated[VAR_POSITION:VAR_VELOCITY])
        np.subtract(motion[VAR_VELOCITY], gains[1] * motion[COVARIANCE], out=updated[VAR_VELOCITY])
        return updated

    def expected(self, motion: F64) -> F64:
        """(N, 9) one side of the squared Mahalanobis distance: its product with `measured` is it, but for rounding.

        The distance is the sum over the coordinates of (z - p)^2 / s; multiplied out, it is one matrix product.
        Rounding of that form is below 1e-6 for people of a pixel or more anywhere in an 8K picture.
        """
        position = motion[POSITION]
        tracks = np.empty((len(position), 9))
        np.divide(1, self._innovation_variance(motion), out=tracks[:, :4])
        np.multiply(tracks[:, :4], position, out=tracks[:, 4:8])
        np.einsum("nc,nc->n", tracks[:, 4:8], position, out=tracks[:, 8])
        return tracks

    def _innovation_variance(self, motion: F64, noise: F64 | float = 1.0) -> F64:
        """(N, 4) variance of the difference between a measurement and the prediction."""
        scale, offset = self._measured
        variance: F64 = np.square(motion[POSITION, :, 3:]) * scale + offset
        variance *= noise
        variance += motion[VAR_POSITION]
        return variance


def _variance(weight: float, aspect: float) -> F64:
    """(2, 4) scale and offset: (weight * height)^2 for x, y and h, `aspect` for the aspect ratio."""
    scale = weight * weight
    return np.array(((scale, scale, 0, scale), (0, 0, aspect, 0)))


def measured(xyah: F64) -> F64:
    """(M, 9) of boxes (M, 4): the other side of `KalmanFilter.expected`."""
    boxes = np.empty((len(xyah), 9))
    np.multiply(xyah, xyah, out=boxes[:, :4])
    np.multiply(xyah, -2, out=boxes[:, 4:8])
    boxes[:, 8] = 1
    return boxes
