"""Layers in float64 on batches [n, h, w, c]: the operators of `reference`."""

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edge.layers import ConvSpec, Layer, LayerSpec, PadSpec, PoolSpec
from edge.windows import Pads, Pair

__all__ = ["activated", "summed"]

Float64 = NDArray[np.float64]


def summed(layer: Layer, x: Float64, weights: Any, bias: Any) -> Float64:
    """What a layer makes of a batch before its activation.

    Args:
        layer: which.
        x: [n, *layer.in_shape].
        weights: in the order of the file; unused where the layer has none.
        bias: [c_out].

    Returns:
        [n, *layer.out_shape].
    """
    if isinstance(layer, LayerSpec):
        return np.asarray(x @ weights.astype(np.float64).T + bias)
    if isinstance(layer, PadSpec):
        return _padded(x, layer.pads, 0.0)
    if isinstance(layer, PoolSpec):
        return _pooled(layer, x)
    if not isinstance(layer, ConvSpec):
        return x
    windows = _windows(_padded(x, layer.pads, 0.0), layer.kernel, layer.stride, layer.dilation)
    w = weights.astype(np.float64)
    if layer.depthwise:
        several = np.repeat(windows, layer.filters // layer.in_shape[2], axis=3)
        return np.asarray(np.einsum("nyxoij,ijo->nyxo", several, w) + bias)
    return np.asarray(np.einsum("nyxcij,oijc->nyxo", windows, w, optimize=True) + bias)


def activated(activation: str, z: Float64) -> Float64:
    """`activation(z)`; softmax over all values of a sample."""
    if activation == "relu":
        return np.asarray(np.maximum(z, 0.0))
    if activation == "relu6":
        return np.asarray(np.clip(z, 0.0, 6.0))
    if activation == "tanh":
        return np.asarray(np.tanh(z))
    if activation == "logistic":
        return np.asarray(0.5 + 0.5 * np.tanh(z / 2))
    if activation == "softmax":
        axes = (1, 2, 3)
        powers = np.exp(z - z.max(axis=axes, keepdims=True))
        return np.asarray(powers / powers.sum(axis=axes, keepdims=True))
    return z


def _pooled(layer: PoolSpec, x: Float64) -> Float64:
    around = _padded(x, layer.pads, -np.inf if layer.kind == "max" else 0.0)
    windows = _windows(around, layer.window, layer.stride, (1, 1))
    if layer.kind == "max":
        return np.asarray(windows.max(axis=(4, 5)))
    there = _padded(np.ones((1, *layer.in_shape[:2], 1)), layer.pads, 0.0)
    counts = _windows(there, layer.window, layer.stride, (1, 1)).sum(axis=(4, 5))
    return np.asarray(windows.sum(axis=(4, 5)) / counts)


def _padded(x: Float64, pads: Pads, value: float) -> Float64:
    top, bottom, left, right = pads
    sides = ((0, 0), (top, bottom), (left, right), (0, 0))
    padded: Float64 = np.pad(x, sides, constant_values=value)
    return padded


def _windows(x: Float64, kernel: Pair, stride: Pair, dilation: Pair) -> Float64:
    """[n, places down, places right, c, kh, kw]."""
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    views: Float64 = sliding_window_view(x, spans, (1, 2))  # type: ignore[call-overload]
    kept: Float64 = views[:, :: stride[0], :: stride[1], :, :: dilation[0], :: dilation[1]]
    return kept
