"""Signal to quantisation noise."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CEILING", "FLOOR", "sqnr"]

CEILING = 200.0
FLOOR = -CEILING


def sqnr(reference: NDArray[Any], answer: NDArray[Any]) -> float:
    """Power of the reference over power of the difference, in dB, from -200 to 200.

    NaN or infinity on either side is the worst: -200.
    """
    if not (np.isfinite(reference).all() and np.isfinite(answer).all()):
        return FLOOR
    noise = float(((answer - reference) ** 2).sum(dtype=np.float64))
    signal = float((reference**2).sum(dtype=np.float64))
    if noise == 0:
        return CEILING
    if signal == 0:
        return FLOOR
    return float(np.clip(10 * np.log10(signal / noise), FLOOR, CEILING))
