"""The NumPy twin of `src/tl_momentum.c`: momentum, L2 weight decay, and clipping by norm.

B. T. Polyak, USSR Computational Mathematics and Mathematical Physics 4 (1964) 1-17.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.learner.reference_layers import WeightedLayer

__all__ = ["Momentum"]

F = np.float32
Float32 = NDArray[np.float32]


class Momentum:
    """A velocity for each layer that is trained, and the options of a step.

    Args:
        layers: the trained layers.
    """

    def __init__(self, layers: Sequence[WeightedLayer]) -> None:
        """Start at rest."""
        self.velocity = [(np.zeros_like(layer.w), np.zeros_like(layer.b)) for layer in layers]
        self.set_options(0, 0, 0)

    def set_options(self, momentum: float, decay: float, clip: float) -> None:
        """Change momentum, weight decay and the largest norm (0: any)."""
        self._momentum, self._decay, self._clip = F(momentum), F(decay), F(clip)

    def rest(self) -> None:
        """Forget what the last steps were moving with."""
        for w, b in self.velocity:
            w[...] = 0
            b[...] = 0

    def step(self, index: int, layer: WeightedLayer, x: Float32, d: Float32, rate: Any) -> None:
        """Step one layer.

        Args:
            index: of the layer among the trained ones.
            layer: the layer, changed in place.
            x: its input.
            d: dL/dz.
            rate: learning rate, float32.
        """
        norm = layer.norm(x, d) if self._clip > 0 else F(0)
        if norm > self._clip:
            d = (self._clip / norm) * d
        w, b = self.velocity[index]
        for array in (w, b):
            array[...] = self._momentum * array + F(0)  # no -0
        layer.update(w, b, x, d, F(-1))
        layer.w -= rate * (w + self._decay * layer.w)
        layer.b -= rate * (b + F(0))

    def flat(self) -> list[Float32]:
        """The velocities as the C library's arena holds them: inputs first, then outputs."""
        return [_turned(array) for pair in self.velocity for array in pair]

    def load(self, flat: Float32) -> None:
        """Take velocities that `flat` gave, one after another."""
        for pair in self.velocity:
            for array in pair:
                array[...] = _returned(flat[: array.size], array.shape)
                flat = flat[array.size :]


def _turned(array: Float32) -> Float32:
    """Output channels are last already in a bias and in the weights of a depthwise convolution."""
    return array.reshape(array.shape[0], -1).T.ravel() if array.ndim in (2, 4) else array.ravel()


def _returned(flat: Float32, shape: tuple[int, ...]) -> Float32:
    turned = len(shape) in (2, 4)
    return flat.reshape(-1, shape[0]).T.reshape(shape) if turned else flat.reshape(shape)
