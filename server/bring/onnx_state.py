"""The layers found so far of an `.onnx` chain, and where each value of its tensor lies in ours."""

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.layer_limits import problem
from edge.layers import ActivateSpec, Activation, ConvSpec, Layer, LayerSpec, PadSpec, PoolSpec
from edge.windows import Shape
from server.bring.onnx_steps import Step, refusal

__all__ = ["ChainState", "Float"]

Float = NDArray[np.float32]
Order = NDArray[np.int64]

_POSITIVE = ("relu", "relu6", "logistic", "softmax")


class ChainState:
    """What has been read.

    `order` says of each value of the current ONNX tensor (without the batch) at which place of the
    learner's it lies; `entry` says so of the input. Reshapes and transposes change `order` alone.

    Args:
        sizes: of a sample, as the file has them.
    """

    def __init__(self, sizes: tuple[int, ...]) -> None:
        self.layers: list[Layer] = []
        self.parts: list[tuple[Float, Float]] = []
        self.entry: Order = np.arange(prod(sizes))
        self.order: Order = self.entry.reshape(sizes)
        self.shape: Shape = (1, 1, prod(sizes))

    def activate(self, step: Step, activation: Activation) -> None:
        """Put an activation behind all values: part of linear weights before, else a layer."""
        last = self.layers[-1] if self.layers else None
        if isinstance(last, LayerSpec | ConvSpec) and last.activation == "linear":
            self.layers[-1] = replace(last, activation=activation)
            self._check(step, self.layers[-1])
        else:
            self.append(step, ActivateSpec(self.shape, activation))

    def image(self, step: Step) -> Shape:
        """See the tensor as an image of ours; before the first layer the input's order is free."""
        if self.order.ndim not in (2, 3):
            raise refusal(step, f"a sample has shape {self.order.shape} there; channels, height "
                                "and width are needed, or channels and length.")  # fmt: skip
        channels, *places = self.order.shape
        shape = ([1] * (2 - len(places)) + places)[0], places[-1], channels
        wanted = _channels_first(shape).reshape(self.order.shape)
        if not self.layers:
            moved = np.empty_like(self.entry)
            moved[self.order.ravel()] = wanted.ravel()
            self.entry, self.order = moved[self.entry], wanted
        if (self.order != wanted).any():
            raise refusal(step, "its input is no image whose channels come first.")
        self.shape = shape
        return shape

    def is_image(self, spatial: int) -> None:
        """Say that the tensor is what the last layer gave: an image (2), or a signal (1)."""
        order = _channels_first(self.shape)
        self.order = order if spatial == 2 else order[:, 0]

    def append(self, step: Step, layer: Layer, parts: tuple[Float, Float] | None = None) -> None:
        """Append a layer, with its weights in any shape of as many values, and its bias.

        Raises:
            UnsupportedOperator: it is beyond what the learner takes.
        """
        self._check(step, layer)
        self.layers.append(layer)
        if parts is not None:
            self.parts.append((parts[0].reshape(layer.weight_shape), parts[1]))
        self.shape = layer.out_shape

    def _check(self, step: Step, layer: Layer) -> None:
        if wrong := problem(layer):
            raise refusal(step, wrong)

    def positive(self) -> bool:
        """Whether no value is below 0."""
        for layer in reversed(self.layers):
            if layer.activation in _POSITIVE:
                return True
            if not isinstance(layer, PoolSpec | PadSpec):
                return False
        return False

    def scale(self, step: Step, factor: NDArray[Any], shift: NDArray[Any]) -> None:
        """Factor and shift of each channel: part of linear weights before, else a layer."""
        if not self.layers and self.order.ndim > 1:
            self.image(step)
        last = self.layers[-1] if self.layers else None
        fixed = not isinstance(last, LayerSpec | ConvSpec) or last.activation != "linear"
        many = self.shape[2] if fixed or last is None else last.out_shape[2]
        k, b = (self._each(step, values, many) for values in (factor, shift))
        if not fixed:
            weights, bias = self.parts[-1]
            depthwise = isinstance(last, ConvSpec) and last.depthwise
            along = k if depthwise else k.reshape(-1, *[1] * (weights.ndim - 1))
            self.parts[-1] = ((weights * along).astype(np.float32),
                              (bias * k + b).astype(np.float32))  # fmt: skip
            return
        layer = ConvSpec(self.shape, many, (1, 1), depthwise=True)
        self.append(step, layer, (k.reshape(1, 1, -1).astype(np.float32), b.astype(np.float32)))

    def _each(self, step: Step, values: NDArray[Any], many: int) -> NDArray[Any]:
        """Values that are broadcast to the tensor, as one for each of the last so many places."""
        try:
            spread = np.broadcast_to(values, (1, *self.order.shape))
        except ValueError:
            raise refusal(step, f"a constant of shape {values.shape} changes the shape.") from None
        ours = np.empty(self.order.size)
        ours[self.order.ravel()] = spread.ravel()
        rows = ours.reshape(-1, many)
        if (rows != rows[0]).any():
            raise refusal(step, "it has other constants at each place, one a channel is known.")
        return np.asarray(rows[0])


def _channels_first(shape: Shape) -> Order:
    return np.arange(prod(shape)).reshape(shape).transpose(2, 0, 1)
