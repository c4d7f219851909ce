"""What the scatter of one rate, measured again and again on a machine that others use too, says about it."""

import math
from collections.abc import Sequence

import numpy as np

ERROR_OF_QUARTILE = 1.01
"""Standard error of a quartile of n normal numbers is this times their quartiles' distance / sqrt(n)."""


def undisturbed(values: Sequence[float]) -> float:
    """The third quartile of rates, or of ratios to the teacher's.

    What else a machine does makes frames slower, never faster; with one thread per network, light ones more than heavy
    ones. So blocks scatter to one side: there, two runs' third quartiles differ less than their medians (rms 0.7 to
    1.1 %). With both cores they differ a little more (1.1 to 0.8 %), but still tell what the machine can do.
    """
    return float(np.percentile(values, 75))


def relative_error(values: Sequence[float]) -> float:
    """Standard error of `undisturbed(values)`, divided by it."""
    low, high = (float(quartile) for quartile in np.percentile(values, (25, 75)))
    return ERROR_OF_QUARTILE * (high - low) / high / math.sqrt(len(values))
