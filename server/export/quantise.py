"""Affine int8 quantisation of activations, symmetric int8 of weights, int32 of biases.

Source: Jacob et al. 2018 (arXiv:1712.05877), and the TensorFlow Lite 8-bit specification.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CALIBRATIONS",
    "SMALLEST_SCALE",
    "Affine",
    "Calibration",
    "Int8Weights",
    "quantise_weights",
    "with_headroom",
]

SMALLEST_SCALE = 1e-12
Calibration = Literal["minmax", "percentile", "mse"]
CALIBRATIONS: tuple[Calibration, ...] = ("minmax", "percentile", "mse")
"""Ways to find the range of a tensor from samples."""
_RARE = 0.01  # per cent of the values that lie outside, at each end
_SHARES = np.linspace(0.3, 1.0, 36)  # of the whole range that `mse` tries
_LOOKED_AT = 200_000  # values, and the extremes
_HEADROOM = 1.25


@dataclass(frozen=True)
class Affine:
    """real = scale * (q - zero), q in -128..127."""

    scale: float
    zero: int

    @classmethod
    def covering(cls, values: NDArray[Any], finest: float = SMALLEST_SCALE) -> "Affine":
        """The finest scale that covers all values and holds 0 exactly; never below `finest`."""
        low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
        scale = float(np.float32(max((high - low) / 255.0, finest)))
        return cls(scale, int(np.clip(round(-128 - low / scale), -128, 127)))

    @classmethod
    def fitted(
        cls, values: NDArray[Any], how: "Calibration", finest: float = SMALLEST_SCALE
    ) -> "Affine":
        """A scale by one of `CALIBRATIONS`; never below `finest`.

        `minmax` covers all values, `percentile` all but one in ten thousand at each end, `mse`
        takes the range whose codes differ least from the values, in squares.
        """
        if how == "minmax" or not np.ptp(values):
            return cls.covering(values, finest)
        if how == "percentile":
            return cls.covering(np.percentile(values, [_RARE, 100 - _RARE]), finest)
        sample = np.asarray(values).reshape(-1)
        whole = np.array([sample.min(), sample.max()])
        if sample.size > _LOOKED_AT:
            sample = np.concatenate([sample[:: sample.size // _LOOKED_AT], whole])
        tried = [cls.covering(whole * share, finest) for share in _SHARES]
        return min(tried, key=lambda one: one.error(sample))

    def error(self, values: NDArray[Any]) -> float:
        """Sum of the squared differences of values from their codes."""
        return float(((self.restore(self.quantise(values)) - values) ** 2).sum())

    def quantise(self, values: NDArray[Any]) -> NDArray[np.int8]:
        """Round to the nearest code, ties to even; what lies outside is clipped."""
        codes = np.rint(values / np.float64(self.scale)) + self.zero
        return np.asarray(np.clip(codes, -128, 127), np.int8)

    def restore(self, codes: NDArray[np.int8]) -> NDArray[np.float32]:
        """The real values of codes."""
        shifted = codes.astype(np.float32) - np.float32(self.zero)
        return np.asarray(shifted * np.float32(self.scale), np.float32)


@dataclass(frozen=True)
class Int8Weights:
    """A quantised layer: weights int8 in their shape, bias int32 [out], scales [1 or out]."""

    weights: NDArray[np.int8]
    bias: NDArray[np.int32]
    scales: NDArray[np.float32]
    bias_scales: NDArray[np.float32]


def with_headroom(values: NDArray[Any]) -> NDArray[Any]:
    """Values a quarter farther from their middle, to set the range of logits with.

    A logit that is clipped costs a softmax more than a coarser step does, and those of samples
    nobody has calibrated with go farther.
    """
    middle = (float(values.min()) + float(values.max())) / 2
    return np.asarray(middle + (values - middle) * _HEADROOM)


def quantise_weights(
    weights: NDArray[np.float32],
    bias: NDArray[np.float32],
    in_scale: float,
    *,
    axis: int,
    per_channel: bool,
) -> Int8Weights:
    """Quantise one layer to weights of +-127; a bias always fits into 31 bits.

    Args:
        weights: float32, of any shape.
        bias: float32 [out].
        in_scale: scale of the layer's input.
        axis: dimension of the weights that is the output channel.
        per_channel: one scale an output channel instead of one for all.
    """
    rows = np.moveaxis(weights, axis, 0).reshape(len(bias), -1)
    largest = np.abs(rows.astype(np.float64)).max(axis=1)
    wanted = np.abs(bias.astype(np.float64)) / (in_scale * 2.0**30)
    scale = np.maximum(np.maximum(largest / 127.0, wanted), SMALLEST_SCALE)
    if not per_channel:
        scale = scale.max(keepdims=True)
    scales = scale.astype(np.float32)
    codes = np.clip(np.rint(rows / scales.astype(np.float64)[:, None]), -127, 127)
    moved = np.moveaxis(weights, axis, 0).shape
    placed = np.moveaxis(codes.astype(np.int8).reshape(moved), 0, axis)
    bias_scales = (np.float32(in_scale) * scales).astype(np.float32)
    bias_codes = np.rint(bias / bias_scales.astype(np.float64)).astype(np.int32)
    return Int8Weights(placed, bias_codes, scales, bias_scales)
