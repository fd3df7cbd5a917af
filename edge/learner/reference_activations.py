"""Activations and losses of the NumPy twin."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.learner.reference_kernels import total
from edge.learner.reference_math import exp, log, tanh

__all__ = ["activate", "activate_back", "cross_entropy", "squared_error"]

F = np.float32
Float32 = NDArray[np.float32]


def activate(activation: str, z: Float32) -> Float32:
    """Compute y = activation(z), float32 [n]; softmax is over all n."""
    if activation in ("relu", "relu6"):
        y = np.where((z > 0) | np.isnan(z), z, F(0))
        return np.minimum(y, F(6)) if activation == "relu6" else y
    if activation == "tanh":
        return tanh(z)
    if activation == "logistic":
        return np.asarray(F(1) / (F(1) + exp(-z)), F)
    if activation == "softmax":
        powers = exp(z - z.max())
        return np.asarray(powers / total(powers), F)
    return z


def activate_back(activation: str, y: Float32, d: Float32) -> Float32:
    """dL/dz from dL/dy, given y. Softmax: unchanged, it is part of the loss."""
    if activation == "relu":
        return np.where(y > 0, d, F(0))
    if activation == "relu6":
        return np.asarray(d * np.where((y > 0) & (y < 6), F(1), F(0)), F)
    if activation == "tanh":
        return np.asarray(d * (F(1) - y * y), F)
    if activation == "logistic":
        return np.asarray(d * (y * (F(1) - y)), F)
    return d


def squared_error(y: Float32, target: Float32) -> tuple[Any, Float32]:
    """Mean squared error, and dL/dy."""
    error = y - target
    return total(error * error) / F(y.size), (F(2) / F(y.size)) * error


def cross_entropy(z: Float32, chosen: int) -> tuple[Any, Float32, Float32]:
    """Cross-entropy of softmax(z) for a class, softmax(z), and dL/dz."""
    shifted = z - z.max()
    powers = exp(shifted)
    whole = total(powers)
    y = np.asarray(powers / whole, F)
    d = y.copy()
    d[chosen] -= F(1)
    return log(whole) - shifted[chosen], y, d
