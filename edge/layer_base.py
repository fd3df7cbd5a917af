"""What all layers of a `ModelSpec` have in common."""

from dataclasses import dataclass
from math import prod
from typing import Literal

from edge.windows import Shape

__all__ = ["ACTIVATIONS", "Activation", "BaseLayer", "SpatialLayer"]

Activation = Literal["linear", "relu", "relu6", "tanh", "logistic", "softmax"]

ACTIVATIONS: tuple[Activation, ...] = ("linear", "relu", "relu6", "tanh", "logistic", "softmax")


class BaseLayer:
    """A layer without weights; what follows from a layer's shapes."""

    @property
    def out_shape(self) -> Shape:
        """Shape of the output."""
        raise NotImplementedError

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Shape of the weights in the order of the file; () where there are none."""
        return ()

    @property
    def bias_shape(self) -> tuple[int, ...]:
        """(output channels,); () where there are no weights."""
        return self.out_shape[2:] if self.weight_shape else ()

    @property
    def n_parameters(self) -> int:
        """How many weights and biases the layer holds."""
        return prod(self.weight_shape) + self.out_shape[2] if self.weight_shape else 0

    @property
    def fan_in(self) -> int:
        """How many products one output value sums."""
        return 0

    @property
    def fan_out(self) -> int:
        """How many sums one input value goes into, were there no edges and stride 1."""
        return 0

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one forward pass; padding counts as if it were there."""
        return prod(self.out_shape) * self.fan_in

    def text(self) -> str:
        """What the digest of an architecture is made from."""
        return repr(self)


@dataclass(frozen=True)
class SpatialLayer(BaseLayer):
    """A layer whose input has a height and a width.

    Args:
        in_shape: height, width, channels.
    """

    in_shape: Shape

    @property
    def out_shape(self) -> Shape:
        """Shape of the output; that of the input where a layer does not change it."""
        return self.in_shape

    @property
    def n_in(self) -> int:
        """Values that come in."""
        return prod(self.in_shape)

    @property
    def n_out(self) -> int:
        """Values that go out."""
        return prod(self.out_shape)
