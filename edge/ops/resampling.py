"""How a picture is shrunk: by halves as long as it is twice too large, then bilinearly, in OpenCV's integer arithmetic.

`edge.ops.host` lets OpenCV do it; the kernels get the weights from here, so both come to the same pixels.
"""

import numpy as np

from edge.arrays import F32, I32

MOST_HALVINGS = 6
"""The kernels know so many; a picture 128 times as wide as the network's input is none."""
_ONE = 2048
"""OpenCV's bilinear weights have 11 bits."""


def halvings(source: tuple[int, int], target: tuple[int, int]) -> int:
    """How often a picture of the size `source` can be halved and is still no smaller than `target` on either axis.

    An odd last row or column is left out at each step. Raises ValueError for more than MOST_HALVINGS.
    """
    count = 0
    while all(side >> (count + 1) >= wanted for side, wanted in zip(source, target, strict=True)):
        count += 1
    if count > MOST_HALVINGS:
        raise ValueError(f"a picture of {source} pixels is too large for a network that wants {target}")
    return count


def column_weights(source: int, target: int) -> I32:
    """(target, 3): left neighbour, its weight, the right neighbour's; at the edges all weight is on one pixel."""
    first, fraction = _positions(source, target)
    outside = (first < 0) | (first >= source - 1)
    return _weights(np.clip(first, 0, source - 1), np.where(outside, np.float32(0), fraction))


def row_weights(source: int, target: int) -> I32:
    """(target, 3): upper neighbour, its weight, the lower neighbour's; a neighbour outside counts as the edge's row."""
    return _weights(*_positions(source, target))


def _positions(source: int, target: int) -> tuple[I32, F32]:
    """(target,) pixel before each target pixel's centre, -1 or more, and how far behind it the centre is, 0 to 1."""
    position = ((np.arange(target) + 0.5) * (source / target) - 0.5).astype(np.float32)
    first = np.floor(position)
    return first.astype(np.int32), position - first


def _weights(first: I32, fraction: F32) -> I32:
    before, after = np.rint((np.float32(1) - fraction) * _ONE), np.rint(fraction * _ONE)
    return np.stack((first, before, after), axis=1).astype(np.int32)
