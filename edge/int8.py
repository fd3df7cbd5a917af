"""Int8 layers in NumPy: the twin of `tl_int8.c`, to the bit."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.chain_layer import ChainLayer
from edge.int8_scale import clamp, dequantise, quantise, ratio, rescale, weight_ratios

__all__ = ["Int8Layer"]

F = np.float32
Int8 = NDArray[np.int8]


class Int8Layer:
    """One layer of a chain that reads or writes int8.

    Args:
        part: any layer whose type is int8, or one that quantises float32.
    """

    def __init__(self, part: ChainLayer) -> None:
        self.part = part
        if part.weights is None:
            self._by = ratio(np.float64(part.in_scale), part.out_scale)
        else:
            self._by = weight_ratios(part)
        forms: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
            "dense": self._dense,
            "conv": self._conv,
            "depthwise": self._depthwise,
            "max_pool": self._max_pool,
            "average_pool": self._average_pool,
            "mean": self._mean,
            "pad": self._pad,
            "activate": self._activate,
            "quantize": self._quantise,
            "dequantize": self._dequantise,
        }
        self._run = forms[part.kind]

    def forward(self, x: NDArray[Any]) -> NDArray[Any]:
        """Numbers of the input, in any shape, to a vector of those of the output."""
        y: NDArray[Any] = self._run(x.reshape(self.part.in_shape)).reshape(-1)
        return y

    def _centred(self, x: Int8) -> NDArray[np.float64]:
        """Less the zero point; in double, where every sum below is exact."""
        return x.astype(np.float64) - self.part.in_zero

    def _taps(self, x: NDArray[Any], fill: float = 0) -> Iterator[tuple[int, int, NDArray[Any]]]:
        """What each place of the kernel sees, [height][width][channels] of the output."""
        part = self.part
        top, bottom, left, right = part.pads
        padded = np.pad(x, ((top, bottom), (left, right), (0, 0)), constant_values=fill)
        (down, across), (high, wide) = part.stride, part.out_shape[:2]
        for i in range(part.kernel[0]):
            for j in range(part.kernel[1]):
                y, z = i * part.dilation[0], j * part.dilation[1]
                yield i, j, padded[y : y + high * down : down, z : z + wide * across : across]

    def _result(self, total: NDArray[np.float64]) -> Int8:
        bias = 0 if self.part.bias is None else self.part.bias.astype(np.int64)
        wrapped = (total.astype(np.int64) + bias).astype(np.int32)
        return clamp(rescale(wrapped, self._by), self.part)

    def _weights(self) -> NDArray[np.float64]:
        assert self.part.weights is not None
        return self.part.weights.astype(np.float64)

    def _dense(self, x: Int8) -> Int8:
        return self._result(self._weights() @ self._centred(x).reshape(-1))

    def _conv(self, x: Int8) -> Int8:
        w, total = self._weights(), np.zeros(self.part.out_shape)
        for i, j, seen in self._taps(self._centred(x)):
            total += seen @ w[:, i, j].T
        return self._result(total)

    def _depthwise(self, x: Int8) -> Int8:
        w, total = self._weights(), np.zeros(self.part.out_shape)
        copies = self.part.out_shape[2] // self.part.in_shape[2]
        for i, j, seen in self._taps(self._centred(x)):
            total += np.repeat(seen, copies, axis=2) * w[i, j]
        return self._result(total)

    def _max_pool(self, x: Int8) -> Int8:
        largest = np.full(self.part.out_shape, -128, np.int64)
        for _, _, seen in self._taps(x, -128):
            np.maximum(largest, seen, out=largest)
        return clamp(largest - self.part.out_zero, self.part)

    def _average_pool(self, x: Int8) -> Int8:
        total = sum(seen for _, _, seen in self._taps(x.astype(np.int64)))
        inside = np.ones((*self.part.in_shape[:2], 1), np.int64)
        count = np.asarray(sum(seen for _, _, seen in self._taps(inside)))
        rounded = np.sign(total) * ((np.abs(total) + count // 2) // count)
        return clamp(rounded - self.part.out_zero, self.part)

    def _mean(self, x: Int8) -> Int8:
        total = self._centred(x).sum(axis=(0, 1))
        count = self.part.in_shape[0] * self.part.in_shape[1]
        multiplier, shift = self._by  # takes over the division, rounded down
        power = np.minimum(count.bit_length() - 1, 31 + shift)
        return clamp(rescale(total, ((multiplier << power) // count, shift - power)), self.part)

    def _pad(self, x: Int8) -> Int8:
        top, bottom, left, right = self.part.pads
        around = ((top, bottom), (left, right), (0, 0))
        return np.pad(x, around, constant_values=self.part.out_zero)

    def _activate(self, x: Int8) -> Int8:
        from edge.learner.reference_math import exp, tanh

        part = self.part
        z = dequantise(x, part.in_scale, part.in_zero)
        if part.activation == "tanh":
            return quantise(tanh(z), part.out_scale, part.out_zero)
        if part.activation == "logistic":
            return quantise(F(1) / (F(1) + exp(-z)), part.out_scale, part.out_zero)
        if part.activation != "softmax":
            return self._requantise(x)
        powers = exp(dequantise(x, part.in_scale, int(x.max())))
        total = F(0)
        for power in powers.reshape(-1):
            total = total + power
        return quantise(powers / total, part.out_scale, part.out_zero)

    def _requantise(self, x: Int8) -> Int8:
        return clamp(rescale(self._centred(x), self._by), self.part)

    def _quantise(self, x: NDArray[Any]) -> Int8:
        if self.part.dtype == "int8":
            return self._requantise(x)
        return quantise(x, self.part.out_scale, self.part.out_zero)

    def _dequantise(self, x: Int8) -> NDArray[np.float32]:
        return dequantise(x, self.part.in_scale, self.part.in_zero)
