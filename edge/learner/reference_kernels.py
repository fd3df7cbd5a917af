"""One step of a sum, in both arithmetic contracts, and sums in index order."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Step", "fused", "plain", "squares", "total"]

F = np.float32
Float32 = NDArray[np.float32]
Step = Callable[[Any, Any, Any], Any]
"""s + a * b, float32 arrays that broadcast."""


def plain(s: Any, a: Any, b: Any) -> Any:
    """Give s + a * b in two roundings (contract `mul_add`)."""
    return s + a * b


def fused(s: Any, a: Any, b: Any) -> Any:
    """Give s + a * b in one rounding (contract `fma`).

    The product is exact in float64. Its sum with s is rounded to odd (S. Boldo and G. Melquiond,
    IEEE Transactions on Computers 57 (2008) 462-471), so that the second rounding, to float32,
    gives what a single one would.
    """
    product = np.asarray(a, np.float64) * np.asarray(b, np.float64)
    wide = np.asarray(s, np.float64)
    sums = np.atleast_1d(product + wide)
    part = sums - product
    error = (product - (sums - part)) + (wide - part)
    bits = sums.view(np.int64)
    inexact = np.isfinite(sums) & (error != 0) & (bits & 1 == 0)
    outwards = np.where(np.signbit(error) == np.signbit(sums), 1, -1)
    odd = np.where(inexact, bits + outwards, bits).view(np.float64)
    return odd.astype(F).reshape(np.broadcast(product, wide).shape)[()]


def total(values: Float32, axis: int = 0) -> Any:
    """Sum along an axis in index order, each addition rounded (`sum` would add in pairs)."""
    return np.take(np.add.accumulate(values, axis=axis, dtype=F), -1, axis=axis) + F(0)


def squares(values: Float32) -> Any:
    """Sum of squares along the last axis, in index order."""
    return total(values * values, axis=-1)
