"""Classes added at run time: spare rows of a softmax head; the NumPy twin of `src/tl_classes.c`.

A spare class has a bias at or below `SPARE_BIAS`, so that its probability is about 0. Put into
use, it gets weights 0 and the mean of the biases in use.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["SPARE_BIAS", "add_class", "spare_class"]

F = np.float32
SPARE_BIAS = F(-30)

Float32 = NDArray[np.float32]


def spare_class(bias: Float32) -> int:
    """The first spare class of a head with this bias [n_out], or n_out if there is none."""
    spare = np.flatnonzero(bias <= SPARE_BIAS)
    return int(spare[0]) if spare.size else bias.size


def add_class(weights: Float32, bias: Float32, index: int) -> bool:
    """Put class `index` into use, in place.

    Args:
        weights: float32 [n_out, ...], of the head.
        bias: float32 [n_out].
        index: from 0.

    Returns:
        Whether it was spare; else nothing is changed.
    """
    if bias[index] > SPARE_BIAS:
        return False
    used = bias[bias > SPARE_BIAS]
    total: Any = F(0)
    for value in used:
        total = total + value
    bias[index] = total / F(used.size) if used.size else F(0)
    weights[index] = 0
    return True
