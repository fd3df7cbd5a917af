"""Signal to quantisation noise."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CEILING", "sqnr"]

CEILING = 200.0


def sqnr(reference: NDArray[Any], answer: NDArray[Any]) -> float:
    """Power of the reference over power of the difference, in dB, at most 200."""
    noise = float(((answer - reference) ** 2).sum())
    signal = float((reference**2).sum())
    if noise == 0:
        return CEILING
    return min(CEILING, 10 * float(np.log10(signal / noise))) if signal else -CEILING
