"""Fixed-point rescaling in NumPy: the twin of `tl_int8_rescale.c`, to the bit."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.chain_layer import ChainLayer

__all__ = ["clamp", "dequantise", "quantise", "ratio", "rescale", "weight_ratios"]

F = np.float32
Integers = NDArray[np.int64]


def _positive(scale: Any) -> NDArray[np.float64]:
    """Scales in double; 0 for what is no positive finite number."""
    wide = np.asarray(scale, F).astype(np.float64)
    return np.where(np.isfinite(wide) & (wide > 0), wide, 0.0)


def ratio(product: Any, out: Any) -> tuple[Integers, Integers]:
    """Multipliers of 31 bits and shifts of product / out; 0 and 0 where that is nothing.

    Args:
        product: float64, of one or two scales.
        out: float32, the scale of the result.
    """
    bottom = _positive(out)
    quotient = np.divide(product, bottom, out=np.zeros(np.shape(product)), where=bottom > 0)
    mantissa, shift = np.frexp(np.atleast_1d(quotient))
    multiplier = np.floor(mantissa * 2.0**31 + 0.5).astype(np.int64)
    shift = shift.astype(np.int64) + (multiplier >> 31)
    multiplier >>= multiplier >> 31
    nothing = (shift < -31) | (multiplier == 0)
    multiplier = np.where(shift > 30, 2**31 - 1, multiplier)
    return np.where(nothing, 0, multiplier), np.where(nothing, 0, np.minimum(shift, 30))


def weight_ratios(part: ChainLayer) -> tuple[Integers, Integers]:
    """Multipliers and shifts of a layer with weights: one, or one per output channel.

    A dense layer with one scale multiplies two of them in float32, any other in double.
    """
    if part.kind == "dense" and part.scales.size == 1:
        with np.errstate(all="ignore"):
            return ratio(_positive(part.in_scale * part.scales), part.out_scale)
    return ratio(_positive(part.in_scale) * _positive(part.scales), part.out_scale)


def rescale(total: Any, by: tuple[Integers, Integers]) -> Integers:
    """Multiply int32 sums by a ratio: to 31 bits fewer, then shifted half away from zero."""
    multiplier, shift = by
    shifted = (np.asarray(total, np.int64) << np.maximum(shift, 0)).astype(np.int32)
    high = (shifted.astype(np.int64) * multiplier + (1 << 30)) >> 31
    right = np.maximum(-shift, 1)
    rounded = (((high + (high >> 63)) >> (right - 1)) + 1) >> 1
    return np.asarray(np.where(shift >= 0, high, rounded), np.int64)


def clamp(value: Any, part: ChainLayer) -> NDArray[np.int8]:
    """Add the output's zero point, within int8 and a fused ReLU or ReLU6."""
    low, high = -128 - part.out_zero, 127 - part.out_zero
    if part.activation in ("relu", "relu6"):
        low = 0
    if part.activation == "relu6":
        high = max(min(high, int(_round_away(F(6) / part.out_scale))), low)
    return np.asarray(np.clip(value, low, high) + part.out_zero, np.int8)


def quantise(x: Any, scale: Any, zero: int) -> NDArray[np.int8]:
    """float32 values to int8, rounded half away from zero."""
    return np.clip(_round_away(np.asarray(x, F) / F(scale)) + zero, -128, 127).astype(np.int8)


def dequantise(x: Any, scale: Any, zero: int) -> NDArray[np.float32]:
    """int8 values to float32."""
    return (np.asarray(x, np.int32) - zero).astype(F) * F(scale)


def _round_away(x: Any) -> Integers:
    bounded = np.clip(np.where(np.isnan(x), F(-1e6), x), F(-1e6), F(1e6)).astype(np.float64)
    return np.asarray(np.trunc(bounded + np.copysign(0.5, bounded)), np.int64)
