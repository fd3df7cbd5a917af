"""Pools, mean, padding and plain activations of the NumPy twin."""

import numpy as np
from numpy.typing import NDArray

from edge.chain_layer import ChainLayer
from edge.learner.reference_kernels import total
from edge.learner.reference_windows import taps

__all__ = ["pool_back", "pool_forward"]

F = np.float32
Float32 = NDArray[np.float32]


def pool_forward(part: ChainLayer, x: Float32) -> Float32:
    """Outputs of a layer without weights: float32 [n_in] to float32 [n_out]."""
    image = x.reshape(part.in_shape)
    if part.kind == "max_pool":
        chosen = _argmax(part, image)
        return x[chosen].reshape(-1)
    if part.kind == "average_pool":
        sums = np.zeros(part.out_shape, F)
        for tap in taps(part):
            sums[tap.out] += image[tap.pixels]
        return (sums / _counts(part)).reshape(-1)
    if part.kind == "mean":
        sums = total(image.reshape(-1, part.in_shape[2]))
        return np.asarray(sums / F(part.in_shape[0] * part.in_shape[1]), F)
    if part.kind == "pad":
        top, bottom, left, right = part.pads
        return np.pad(image, ((top, bottom), (left, right), (0, 0))).reshape(-1)
    return x.copy()


def pool_back(part: ChainLayer, x: Float32, d: Float32) -> Float32:
    """dL/dx of a layer without weights: float32 [n_out] to float32 [n_in]."""
    deltas = d.reshape(part.out_shape)
    if part.kind == "max_pool":
        dx = np.zeros(x.size, F)
        np.add.at(dx, _argmax(part, x.reshape(part.in_shape)).reshape(-1), d)
        return dx
    if part.kind == "average_pool":
        image, shares = np.zeros(part.in_shape, F), deltas / _counts(part)
        for tap in reversed(list(taps(part))):  # every pixel meets its windows in order
            image[tap.pixels] += shares[tap.out]
        return image.reshape(-1)
    if part.kind == "mean":
        height, width, _ = part.in_shape
        return np.tile(F(0) + d / F(height * width), height * width)
    if part.kind == "pad":
        top, _, left, _ = part.pads
        height, width, _ = part.in_shape
        return deltas[top : top + height, left : left + width].reshape(-1).copy()
    return d.copy()


def _argmax(part: ChainLayer, image: Float32) -> NDArray[np.intp]:
    """Flat index of the largest input of every window and channel; the first of equals."""
    best = np.full(part.out_shape, -np.inf, F)
    where = np.full(part.out_shape, -1, np.intp)
    index = np.arange(image.size).reshape(image.shape)
    for tap in taps(part):
        values, seen = image[tap.pixels], where[tap.out]
        larger = (values > best[tap.out]) | (seen < 0)
        best[tap.out] = np.where(larger, values, best[tap.out])
        where[tap.out] = np.where(larger, index[tap.pixels], seen)
    return where


def _counts(part: ChainLayer) -> Float32:
    """Pixels inside the input, of every window: [height, width, 1]."""
    counts = np.zeros((*part.out_shape[:2], 1), F)
    for tap in taps(part):
        counts[tap.out] += F(1)
    return counts
