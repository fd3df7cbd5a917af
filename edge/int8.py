"""Int8 layers in NumPy: the twin of `tl_int8.c`, operation by operation."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.dense_chain import Dense, UnsupportedOperator
from edge.tflite import Graph, TensorInfo

__all__ = ["Int8Layer", "int8_layer"]

F = np.float32


@dataclass(frozen=True)
class Int8Layer:
    """A quantised dense layer with its activation.

    Args:
        weights: int8 [n_out][n_in].
        bias: int32 [n_out].
        scales: float32 [1] or [n_out], of the weights.
        in_scale: of the input.
        in_zero: zero point of the input.
        out_scale: of the sum.
        out_zero: zero point of the sum.
        act_scale: of the result.
        act_zero: zero point of the result.
        activation: what follows the sum.
    """

    weights: NDArray[np.int8]
    bias: NDArray[np.int32]
    scales: NDArray[np.float32]
    in_scale: Any
    in_zero: int
    out_scale: Any
    out_zero: int
    act_scale: Any
    act_zero: int
    activation: str

    def quantise(self, x: NDArray[np.float32]) -> NDArray[np.int8]:
        """Bring float32 values to the layer's input numbers."""
        return _quantise(x, self.in_scale, self.in_zero)

    def forward(self, x: NDArray[np.int8]) -> NDArray[np.int8]:
        """int8 [n_in] to int8 [n_out]."""
        total = self.weights.astype(np.int64) @ (x.astype(np.int64) - self.in_zero) + self.bias
        ratio = self.in_scale * self.scales / self.out_scale
        rounded = _round_away(total.astype(np.int32).astype(F) * ratio) + self.out_zero
        lowest = self.out_zero if self.activation == "relu" else -128
        y = np.clip(rounded, lowest, 127).astype(np.int8)
        if self.activation in ("linear", "relu"):
            return y
        return self._activate(y.astype(np.int32))

    def _activate(self, y: NDArray[np.int32]) -> NDArray[np.int8]:
        from edge.learner.reference_math import exp, tanh

        if self.activation == "tanh":
            values = tanh((y - self.out_zero).astype(F) * self.out_scale)
        else:
            powers, total = exp((y - y.max()).astype(F) * self.out_scale), F(0)
            for power in powers:
                total = total + power
            values = powers / total
        return _quantise(values, self.act_scale, self.act_zero)


def int8_layer(graph: Graph, part: Dense) -> Int8Layer:
    """Gather one layer's numbers from a graph.

    Raises:
        UnsupportedOperator: a tensor is not quantised as an int8 layer needs.
    """
    source, total, result = (graph.tensors[i] for i in (part.source, part.sum, part.result))
    weights = graph.tensors[part.weights]
    if any(t.dtype != "int8" or not t.scales for t in (source, total, result, weights)):
        raise UnsupportedOperator("a tensor of an int8 layer is not int8 with a scale.")
    bias = np.zeros(part.n_out, np.int32)
    if part.bias is not None:
        if graph.tensors[part.bias].dtype != "int32":
            raise UnsupportedOperator("the bias of an int8 layer is not int32.")
        bias = graph.constant(part.bias).astype(np.int32)
    in_scale, in_zero = _single(source)
    out_scale, out_zero = _single(total)
    act_scale, act_zero = _single(result)
    return Int8Layer(
        graph.constant(part.weights).astype(np.int8),
        bias,
        np.array(weights.scales, F),
        in_scale,
        in_zero,
        out_scale,
        out_zero,
        act_scale,
        act_zero,
        part.activation,
    )


def _single(tensor: TensorInfo) -> tuple[Any, int]:
    return F(tensor.scales[0]), tensor.zero_points[0] if tensor.zero_points else 0


def _round_away(x: NDArray[np.float32]) -> NDArray[np.int64]:
    bounded = np.clip(x, F(-1e9), F(1e9))
    rounded: NDArray[np.int64] = np.trunc(bounded + np.where(bounded < 0, F(-0.5), F(0.5))).astype(
        np.int64
    )
    return rounded


def _quantise(x: NDArray[np.float32], scale: Any, zero: int) -> NDArray[np.int8]:
    return np.clip(_round_away(x / scale) + zero, -128, 127).astype(np.int8)
