"""The tail of a chain in the NumPy twin: what is trained, forward, loss, backward, step."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.chain_layer import ChainLayer
from edge.learner import common
from edge.learner.classes import add_class
from edge.learner.common import as_vector
from edge.learner.reference_activations import activate, activate_back, cross_entropy, squared_error
from edge.learner.reference_convolutions import float_layer
from edge.learner.reference_kernels import Step
from edge.learner.reference_layers import WeightedLayer
from edge.learner.reference_momentum import Momentum

__all__ = ["Tail"]

F = np.float32
Float32 = NDArray[np.float32]


class Tail:
    """The float32 layers at the end of a chain, from the first trained one on.

    Args:
        parts: the layers as the file holds them.
        step: the arithmetic contract.
        frozen: whether none of them is to be trained.
        smooths: whether steps have momentum, decay or clipping.
    """

    def __init__(
        self, parts: Sequence[ChainLayer], step: Step, *, frozen: bool, smooths: bool
    ) -> None:
        """Copy the parameters."""
        self.layers = [float_layer(part, step) for part in parts]
        weighted = [layer for layer in self.layers if isinstance(layer, WeightedLayer)]
        self.trained = [] if frozen else weighted
        self.momentum = Momentum(weighted) if smooths else None

    @property
    def parameters(self) -> Float32:
        """Copy of the trained parameters, in the order of the file."""
        parts = [a.ravel() for layer in self.trained for a in (layer.w, layer.b)]
        return np.concatenate(parts) if parts else np.zeros(0, F)

    @parameters.setter
    def parameters(self, values: Float32) -> None:
        arrays = [array for layer in self.trained for array in (layer.w, layer.b)]
        vector = as_vector(values, sum(array.size for array in arrays), "parameters")
        if not np.isfinite(vector).all():
            raise common.NonFinite("parameters with NaN or infinity came; the old ones are kept.")
        for array in arrays:
            array[...] = vector[: array.size].reshape(array.shape) + F(0)
            vector = vector[array.size :]

    def run(self, x: Float32) -> Float32:
        """Outputs of the last layer."""
        for layer in self.layers:
            x = layer.run(x)
        return x

    def loss(self, x: Float32, target: Float32) -> Any:
        """Loss of one sample."""
        return self._loss(self._forward(x)[-1], target)[0]

    def learn(self, x: Float32, target: Float32, rate: Any) -> Any:
        """Step on one sample, if its loss is finite.

        Returns:
            The loss before the step.
        """
        outputs = self._forward(x)
        loss, outputs[-1], d = self._loss(outputs[-1], target)
        if np.isfinite(loss):
            self._backward([x, *outputs], d, rate)
        return loss

    def add_class(self, chosen: int) -> None:
        """Put a spare class into use, at rest; nothing happens if it is."""
        head = self.trained[-1]
        if add_class(_by_output(head.w), head.b, chosen) and self.momentum is not None:
            for array in self.momentum.velocity[-1]:
                _by_output(array)[chosen] = 0

    def _forward(self, x: Float32) -> list[Float32]:
        """Outputs of the layers; of a last softmax its logits."""
        outputs = []
        for layer in self.layers:
            x = layer.forward(x)
            if layer.part.activation != "softmax":
                x = activate(layer.part.activation, x)
            outputs.append(x)
        return outputs

    def _loss(self, z: Float32, target: Float32) -> tuple[Any, Float32, Float32]:
        """Loss, y, and dL/dy or (softmax) dL/dz."""
        if self.layers[-1].part.activation == "softmax":
            return cross_entropy(z, int(target[0]))
        loss, d = squared_error(z, target)
        return loss, z, d

    def _backward(self, values: list[Float32], d: Float32, rate: Any) -> None:
        """Step every layer; `values` are the input of the tail and the outputs of its layers."""
        left = len(self.trained)
        for index in reversed(range(len(self.layers))):
            layer, x, y = self.layers[index], values[index], values[index + 1]
            d = activate_back(layer.part.activation, y, d)
            dx = layer.back(x, d) if left > 1 or not isinstance(layer, WeightedLayer) else d
            if isinstance(layer, WeightedLayer):
                left -= 1
                if self.momentum is None:
                    layer.update(layer.w, layer.b, x, d, rate)
                else:
                    self.momentum.step(left, layer, x, d, rate)
            if left == 0:
                return
            d = dx


def _by_output(array: Float32) -> Float32:
    """A view with the output channels first; those of a depthwise convolution are last."""
    return np.moveaxis(array, -1, 0) if array.ndim == 3 else array
