"""Share the range of a tensor among its channels before it becomes int8.

Behind a ReLU, a channel may be made larger and the weights that read it smaller by as much: the
model computes the same, and no channel is left with a few codes. Cross-layer equalisation (Nagel
et al. 2019, arXiv:1906.04721), by ranges of activations and weights (Xiao et al. 2023,
arXiv:2211.10438).
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edge.layers import ActivateSpec, ConvSpec, Layer, LayerSpec, PadSpec, PoolSpec
from edge.learner import OnlineLearner
from edge.spec import ModelSpec
from server.export.reference import forward, layer_values
from server.export.sqnr import sqnr

__all__ = ["equalise", "nearest"]

Floats = NDArray[np.float32]
STRENGTHS = (0.25, 0.5, 0.75)
"""Of the way from weights of one range to activations of one range."""
WORTH = 3.0
"""dB that it must gain: half the noise. What gains less, gains it by chance."""
_SMALLEST = 1 / 256
_HOMOGENEOUS = ("linear", "relu")


def nearest(
    spec: ModelSpec, parameters: Floats, x: Floats, write: Callable[[Floats], bytes], int8: int
) -> Floats:
    """The parameters, equalised as far as it brings a quantised file nearer to float64.

    Args:
        spec: the architecture.
        parameters: float32 [spec.n_parameters].
        x: float32 [n, n_in], samples like those to come.
        write: a `.tflite` of parameters; what our learner makes of it is held against float64.
        int8: how many of the layers with weights are quantised.

    Returns:
        float32 [spec.n_parameters]: the same model but for rounding; `parameters` themselves where
        no strength gains 3 dB.
    """
    expected = forward(spec, parameters, x)

    def noise(of: Floats) -> float:
        return sqnr(expected, OnlineLearner(write(of), infer_only=True).predict_many(x))

    tried = [equalise(spec, parameters, x, strength, int8) for strength in STRENGTHS]
    tried = [one for one in tried if not np.array_equal(one, parameters)]
    if not tried:
        return parameters
    best = max(tried, key=noise)
    return best if noise(best) >= noise(parameters) + WORTH else parameters


def equalise(spec: ModelSpec, parameters: Floats, x: Floats, strength: float, int8: int) -> Floats:
    """Scale the channels between each two layers with weights; the model stays the same.

    Args:
        spec: the architecture; layers that a ReLU6, tanh or logistic parts are left alone.
        parameters: float32 [spec.n_parameters].
        x: float32 [n, n_in], samples like those to come.
        strength: 0: weights that read the channels get one range, 1: the channels do.
        int8: how many of the layers with weights take part, from the first.
    """
    parts = [(w.astype(np.float64), b.astype(np.float64)) for w, b in spec.split(parameters)]
    values = layer_values(spec, parameters, x)
    weighted = [index for index, layer in enumerate(spec.layers) if layer.weight_shape][:int8]
    for number, (first, second) in enumerate(pairwise(weighted)):
        maker, reader = spec.layers[first], spec.layers[second]
        channels = maker.out_shape[2]
        if not all(_lets_pass(layer) for layer in spec.layers[first:second]):
            continue
        if not isinstance(reader, LayerSpec) and reader.in_shape[2] != channels:
            continue
        made, read = parts[number], parts[number + 1]
        codes = np.abs(values[first].out).reshape(-1, channels).max(axis=0)
        weights = np.abs(_by_channel(reader, read[0], channels)).max(axis=(0, 2))
        scale = _scale(codes, weights, strength)
        parts[number] = (_divided(maker, made[0], scale), made[1] / scale)
        scaled = _by_channel(reader, read[0], channels) * scale[:, None]
        parts[number + 1] = (scaled.reshape(read[0].shape), read[1])
    return spec.join([(w.astype(np.float32), b.astype(np.float32)) for w, b in parts])


def _lets_pass(layer: Layer) -> bool:
    known = isinstance(layer, LayerSpec | ConvSpec | PadSpec | PoolSpec | ActivateSpec)
    return known and layer.activation in _HOMOGENEOUS


def _scale(
    codes: NDArray[np.float64], weights: NDArray[np.float64], strength: float
) -> NDArray[np.float64]:
    """What each channel is divided by [channels], at most 1; 1 for one that says nothing."""
    used = (codes > 0) & (weights > 0)
    scale = np.ones(len(codes))
    if used.any():
        found = codes[used] ** strength / weights[used] ** (1 - strength)
        scale[used] = np.maximum(found / found.max(), _SMALLEST)
    return scale


def _by_channel(reader: Layer, weights: NDArray[np.float64], channels: int) -> NDArray[np.float64]:
    """Weights as [rest, input channels, outputs of that channel], in the order of the file."""
    depthwise = isinstance(reader, ConvSpec) and reader.depthwise
    return weights.reshape(-1, channels, weights.shape[-1] // channels if depthwise else 1)


def _divided(
    maker: Layer, weights: NDArray[np.float64], scale: NDArray[np.float64]
) -> NDArray[np.float64]:
    if isinstance(maker, ConvSpec) and maker.depthwise:
        return weights / scale
    return weights / scale.reshape(-1, *[1] * (weights.ndim - 1))
