"""Steps for `ModelSpec.convnet`: layers that take their shape from the one before."""

from collections.abc import Callable
from math import prod

from edge.layers import (
    Activation,
    ConvSpec,
    Layer,
    LayerSpec,
    Padding,
    PadSpec,
    PoolKind,
    PoolSpec,
)
from edge.windows import Pads, Pair, Shape

__all__ = ["Step", "average_pool", "conv", "dense", "depthwise", "max_pool", "mean", "pad"]

Step = Callable[[Shape], tuple[Layer, ...]]
Both = int | Pair
"""One number for down and to the right, or one for each."""


def conv(
    filters: int,
    kernel: Both = 3,
    *,
    stride: Both = 1,
    padding: Padding | Pads = "same",
    dilation: Both = 1,
    activation: Activation = "relu",
) -> Step:
    """A convolution over all channels; padding in numbers is top, bottom, left, right."""

    def step(shape: Shape) -> tuple[Layer, ...]:
        before, shape, how = _padded(shape, padding)
        layer = ConvSpec(
            shape, filters, _both(kernel), _both(stride), how, _both(dilation), activation
        )
        return (*before, layer)

    return step


def depthwise(
    kernel: Both = 3,
    *,
    multiplier: int = 1,
    stride: Both = 1,
    padding: Padding | Pads = "same",
    dilation: Both = 1,
    activation: Activation = "relu",
) -> Step:
    """A convolution of each channel by itself, giving `multiplier` channels each."""

    def step(shape: Shape) -> tuple[Layer, ...]:
        before, shape, how = _padded(shape, padding)
        kernels, strides, filters = _both(kernel), _both(stride), shape[2] * multiplier
        layer = ConvSpec(
            shape, filters, kernels, strides, how, _both(dilation), activation, depthwise=True
        )
        return (*before, layer)

    return step


def max_pool(window: Both = 2, *, stride: Both = 0, padding: Padding = "valid") -> Step:
    """The largest value of each window; stride 0 is the window."""
    return _pool("max", window, stride, padding)


def average_pool(window: Both = 2, *, stride: Both = 0, padding: Padding = "valid") -> Step:
    """The mean of each window; stride 0 is the window."""
    return _pool("average", window, stride, padding)


def mean() -> Step:
    """The mean over the whole height and width."""
    return _pool("mean", 0, 0, "valid")


def pad(pads: Pads) -> Step:
    """Zeros around the input: top, bottom, left, right."""
    return lambda shape: (PadSpec(shape, pads),)


def dense(n_out: int, activation: Activation = "linear") -> Step:
    """A dense layer over all values of its input."""
    return lambda shape: (LayerSpec(prod(shape), n_out, activation),)


def _pool(kind: PoolKind, window: Both, stride: Both, padding: Padding) -> Step:
    return lambda shape: (PoolSpec(kind, shape, _both(window), _both(stride), padding),)


def _padded(shape: Shape, padding: Padding | Pads) -> tuple[tuple[Layer, ...], Shape, Padding]:
    if isinstance(padding, str):
        return (), shape, padding
    layer = PadSpec(shape, padding)
    return (layer,), layer.out_shape, "valid"


def _both(value: Both) -> Pair:
    return (value, value) if isinstance(value, int) else value
