"""exp, tanh and log of the learner, operation by operation as in `src/tl_math.c`.

Polynomials: S. Moshier, Cephes Mathematical Library, single precision (coefficients only).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["exp", "log", "tanh"]

F = np.float32
LN2_HIGH, LN2_LOW = F(0.693359375), F(-2.12194440e-4)
EXP = [1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3]
EXP += [4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1]
TANH = [-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1]
LOG = [7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1]
LOG += [-1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1]


def _horner(coefficients: list[float], x: Any) -> Any:
    p = F(coefficients[0])
    for coefficient in coefficients[1:]:
        p = p * x + F(coefficient)
    return p


def exp(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Raise e to the power of x, float32 of any shape; 0 below -87.34, infinity above 88.72."""
    low, high = x < F(-87.33654), x > F(88.72283)
    safe = np.where(low | high, F(0), x)
    scaled = safe * F(1.44269504088896341)
    n = np.trunc(scaled + np.where(scaled < 0, F(-0.5), F(0.5)))
    r = safe - n * LN2_HIGH
    r = r - n * LN2_LOW
    y = _horner(EXP, r) * (r * r) + r
    y = y + F(1)
    y = np.where(n > 127, y * F(2), np.where(n < -126, y * F(0.5), y))
    power = (np.clip(n, -126, 127).astype(np.int32) + 127) << 23
    y = y * power.astype(np.uint32).view(F)
    return np.where(high, F(np.inf), np.where(low, F(0), y)).astype(F)


def tanh(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Hyperbolic tangent, float32 of any shape."""
    a = np.abs(x)
    square = np.minimum(x * x, F(1))
    small = _horner(TANH, square) * square * x + x
    doubled = np.minimum(a, F(9.1))
    large = F(1) - F(2) / (exp(doubled + doubled) + F(1))
    large = np.where(a > F(9.1), F(1), large)
    return np.where(a < F(0.625), small, np.where(x < 0, -large, large)).astype(F)


def log(x: Any) -> Any:
    """Natural logarithm of one positive float32; infinity and NaN stay what they are."""
    if not np.isfinite(x):
        return x
    bits = int(F(x).view(np.uint32))
    exponent = (bits >> 23) - 126
    m = np.uint32((bits & 0x7FFFFF) | 0x3F000000).view(F)
    if m < F(0.707106781186547524):
        exponent -= 1
        m = m + m
    m = m - F(1)
    z = m * m
    y = _horner(LOG, m) * m
    y = y * z
    y = y + F(exponent) * LN2_LOW
    y = y - F(0.5) * z
    y = m + y
    return y + F(exponent) * LN2_HIGH
