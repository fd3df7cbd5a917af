"""The layers that a `ModelSpec` is made of, each with its sizes, in the order of a `.tflite`."""

from dataclasses import dataclass
from math import prod
from typing import Literal

from edge.layer_base import ACTIVATIONS, Activation, BaseLayer, SpatialLayer
from edge.windows import Pads, Pair, Shape, pads_of, places

__all__ = [
    "ACTIVATIONS",
    "ActivateSpec",
    "Activation",
    "ConvSpec",
    "Layer",
    "LayerSpec",
    "PadSpec",
    "Padding",
    "PoolKind",
    "PoolSpec",
    "Shape",
]

Padding = Literal["valid", "same"]
PoolKind = Literal["max", "average", "mean"]


@dataclass(frozen=True)
class LayerSpec(BaseLayer):
    """One dense layer: `activation(W x + b)` with W [n_out][n_in] and b [n_out].

    Args:
        n_in: width of the input, in elements.
        n_out: width of the output, in elements.
        activation: one of `ACTIVATIONS`; softmax in the last layer only.
    """

    n_in: int
    n_out: int
    activation: Activation

    @property
    def in_shape(self) -> Shape:
        """The input as a vector; what comes in may have any shape of as many values."""
        return (1, 1, self.n_in)

    @property
    def out_shape(self) -> Shape:
        """The output as a vector."""
        return (1, 1, self.n_out)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """(n_out, n_in)."""
        return (self.n_out, self.n_in)

    @property
    def fan_in(self) -> int:
        """How many products one output value sums."""
        return self.n_in

    @property
    def fan_out(self) -> int:
        """How many sums one input value goes into."""
        return self.n_out

    def text(self) -> str:
        """What the digest of an architecture is made from."""
        return f"{self.n_in}>{self.n_out}:{self.activation}"


@dataclass(frozen=True)
class ConvSpec(SpatialLayer):
    """A convolution, over all input channels or (depthwise) over each by itself.

    Weights are [filters][kh][kw][c], or for depthwise [kh][kw][filters], where output channel
    `o` comes from input channel `o // (filters // c)`. Padding by other amounts than "same"
    gives is a `PadSpec` before it.

    Args:
        in_shape: height, width, channels.
        filters: output channels; for depthwise a multiple of the input channels.
        kernel: height and width.
        stride: down and to the right.
        padding: "valid", or "same" as TensorFlow means it.
        dilation: distance of neighbouring taps, down and to the right.
        activation: one of `ACTIVATIONS`.
        depthwise: whether each input channel is convolved by itself.
    """

    filters: int
    kernel: Pair
    stride: Pair = (1, 1)
    padding: Padding = "valid"
    dilation: Pair = (1, 1)
    activation: Activation = "linear"
    depthwise: bool = False

    @property
    def out_shape(self) -> Shape:
        """Shape of the output."""
        h, w = places(self.in_shape, self.kernel, self.stride, self.padding, self.dilation)
        return (h, w, self.filters)

    @property
    def pads(self) -> Pads:
        """Top, bottom, left, right, as TensorFlow Lite places them."""
        return pads_of(self.in_shape, self.kernel, self.stride, self.padding, self.dilation)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """(filters, kh, kw, c), for depthwise (kh, kw, filters)."""
        if self.depthwise:
            return (*self.kernel, self.filters)
        return (self.filters, *self.kernel, self.in_shape[2])

    @property
    def fan_in(self) -> int:
        """How many products one output value sums."""
        return prod(self.kernel) * (1 if self.depthwise else self.in_shape[2])

    @property
    def fan_out(self) -> int:
        """How many sums one input value goes into, were there no edges and stride 1."""
        filters = self.filters // self.in_shape[2] if self.depthwise else self.filters
        return prod(self.kernel) * filters


@dataclass(frozen=True, init=False)
class PoolSpec(SpatialLayer):
    """The largest or mean value of a window, channel by channel; padding does not count.

    Args:
        kind: max, average, or mean (over the whole height and width).
        in_shape: height, width, channels.
        window: height and width; (0, 0): the whole input.
        stride: down and to the right; (0, 0): the window.
        padding: "valid", or "same" as TensorFlow means it.
        activation: one of `ACTIVATIONS`.
    """

    kind: PoolKind
    window: Pair = (0, 0)
    stride: Pair = (0, 0)
    padding: Padding = "valid"
    activation: Activation = "linear"

    def __init__(
        self,
        kind: PoolKind,
        in_shape: Shape,
        window: Pair = (0, 0),
        stride: Pair = (0, 0),
        padding: Padding = "valid",
        activation: Activation = "linear",
    ) -> None:
        """Fill in what was left open, so that equal layers compare equal."""
        whole = kind == "mean" or window == (0, 0)
        window = (in_shape[0], in_shape[1]) if whole else window
        values = {
            "kind": kind,
            "in_shape": in_shape,
            "window": window,
            "stride": window if stride == (0, 0) or kind == "mean" else stride,
            "padding": "valid" if kind == "mean" else padding,
            "activation": activation,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def out_shape(self) -> Shape:
        """Shape of the output."""
        h, w = places(self.in_shape, self.window, self.stride, self.padding)
        return (h, w, self.in_shape[2])

    @property
    def pads(self) -> Pads:
        """Top, bottom, left, right, as TensorFlow Lite places them."""
        return pads_of(self.in_shape, self.window, self.stride, self.padding)


@dataclass(frozen=True)
class PadSpec(SpatialLayer):
    """Zeros around an input.

    Args:
        in_shape: height, width, channels.
        pads: top, bottom, left, right.
    """

    pads: Pads

    @property
    def activation(self) -> Activation:
        """None follows within the layer."""
        return "linear"

    @property
    def out_shape(self) -> Shape:
        """Shape of the output."""
        (h, w, c), (top, bottom, left, right) = self.in_shape, self.pads
        return (h + top + bottom, w + left + right, c)


@dataclass(frozen=True)
class ActivateSpec(SpatialLayer):
    """An activation that cannot be part of the layer before it, such as a second one.

    Args:
        in_shape: height, width, channels.
        activation: one of `ACTIVATIONS`.
    """

    activation: Activation


Layer = LayerSpec | ConvSpec | PoolSpec | PadSpec | ActivateSpec
