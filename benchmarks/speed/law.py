"""What frame rate a pair should have at keyframe period K, and what the pipeline adds to it.

    1/FPS_K = (1/K)/FPS_T + (1 - 1/K)/FPS_S + c (1 - 1/K)

FPS_T and FPS_S are the rates of the teacher alone and of the plain student alone; c is what a student frame costs more
than the student: moving the heatmap, the prior's input, and whatever waits.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SpeedLaw:
    """The law with its c, fitted to measured rates."""

    fps_teacher: float
    fps_student: float
    c_ms: float
    """Milliseconds per student frame."""

    def fps(self, k: int) -> float:
        """The rate at period `k`."""
        student = 1 - 1 / k
        return 1 / (1 / k / self.fps_teacher + student / self.fps_student + student * self.c_ms / 1e3)

    def worst_residual(self, fps: Mapping[int, float]) -> float:
        """Largest relative difference between measured rates (by K) and the law; 0 for no measurement."""
        return max((abs(measured / self.fps(k) - 1) for k, measured in fps.items()), default=0.0)


def fit(fps: Mapping[int, float], fps_teacher: float, fps_student: float) -> SpeedLaw:
    """The c that comes closest to the measured rates (by K) in the sense of least squares over the times per frame.

    Periods of 1 have no student frame and say nothing; without any other c is 0.
    """
    shares = {k: 1 - 1 / k for k in fps}
    rests = {k: 1 / rate - 1 / k / fps_teacher - shares[k] / fps_student for k, rate in fps.items()}
    square = sum(share * share for share in shares.values())
    c_s = sum(shares[k] * rests[k] for k in fps) / square if square else 0.0
    return SpeedLaw(fps_teacher, fps_student, 1e3 * c_s)
