"""The NumPy twin of `src/tl_standardiser.c`: running mean and variance in pairs of float32.

B. P. Welford, Technometrics 4 (1962) 419-420. Each sum is an unevaluated sum of two float32, so
what a sample adds is not lost beside a large mean or a long history (error-free sum: D. E. Knuth,
The Art of Computer Programming 2, 4.2.2; T. J. Dekker, Numerische Mathematik 18 (1971) 224-242).
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["RunningStatistics"]

F = np.float32
Float32 = NDArray[np.float32]

COUNT_LIMIT = 1 << 24
SUM_LIMIT = F(1e38)
LEAST_DEVIATION = F(1e-6)


class RunningStatistics:
    """Mean and sum of squared deviations of `n` features.

    Attributes:
        count: samples seen; saturates at 2**24.
        mean: float32 [2, n], leading parts and remainders.
        m2: float32 [2, n], the same of the sum of squared deviations.

    >>> seen = RunningStatistics(1)
    >>> for value in (1e6, 1e6 + 1, 1e6 + 2):
    ...     seen.observe(np.float32([value]))
    >>> seen.mean.sum(0), seen.m2.sum(0)
    (array([1000001.], dtype=float32), array([2.], dtype=float32))
    """

    def __init__(self, n: int) -> None:
        """Start with no sample."""
        self.count = 0
        self.mean: Float32 = np.zeros((2, n), F)
        self.m2: Float32 = np.zeros((2, n), F)

    def observe(self, x: Float32) -> None:
        """Add one sample, float32 [n]."""
        if self.count >= COUNT_LIMIT:
            return
        self.count += 1
        before = self._centred(x)
        self.mean = _added(self.mean, before / F(self.count))
        term = before * self._centred(x)
        self.m2 = np.where(self.m2[0] < SUM_LIMIT, _added(self.m2, term), self.m2)

    def apply(self, x: Float32) -> Float32:
        """Standardise x, float32 [n]; a feature that has not varied is centred only."""
        centred = self._centred(x)
        if self.count < 2:
            return centred
        deviation = np.sqrt(self.m2[0] / F(self.count))
        varies = deviation > LEAST_DEVIATION
        with np.errstate(over="ignore"):
            np.divide(centred, deviation, out=centred, where=varies)
        return centred

    def _centred(self, x: Float32) -> Float32:
        return np.asarray((x - self.mean[0]) - self.mean[1], F)


def _added(pair: Float32, term: Float32) -> Float32:
    high: Float32 = pair[0]
    low: Float32 = pair[1]
    total = high + term
    kept = total - high
    lost = (high - (total - kept)) + (term - kept)
    lost = lost + low
    leading = total + lost
    return np.stack([leading, lost - (leading - total)])
