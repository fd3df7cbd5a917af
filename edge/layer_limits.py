"""What the learner would refuse of one layer, said before a file is written."""

from math import prod

from edge.layers import ACTIVATIONS, ActivateSpec, ConvSpec, Layer, PadSpec, PoolSpec
from edge.windows import Pair

__all__ = ["MAX_ELEMENTS", "MAX_LAYERS", "MAX_MACS", "MAX_SIDE", "MAX_STEP", "problem"]

# What the fields of `tl_layer` hold, and the bounds of tinylearn.h.
MAX_SIDE, MAX_STEP = 0xFFFF, 0xFF
MAX_ELEMENTS, MAX_MACS = 1 << 20, 1 << 28
MAX_LAYERS = 64
_POOLED: dict[str, tuple[str, ...]] = {
    "max": ("linear", "relu", "relu6"),
    "average": ("linear", "relu", "relu6"),
    "mean": ("linear",),
}


def problem(layer: Layer) -> str:
    """What is wrong with a layer; empty if nothing is."""
    if layer.activation not in ACTIVATIONS:
        return f"activation {layer.activation!r} came, {', '.join(ACTIVATIONS)} are known."
    if len(layer.in_shape) != 3:
        return f"shape {layer.in_shape} came, (height, width, channels) is needed."
    return _wrong_form(layer) or _wrong_size(layer)


def _wrong_form(layer: Layer) -> str:
    if isinstance(layer, PadSpec):
        if min(layer.pads) < 0 or max(layer.pads) > MAX_STEP:
            return f"padding {layer.pads} came, 0 to {MAX_STEP} is allowed."
        return ""
    if isinstance(layer, ConvSpec):
        if layer.depthwise and layer.filters % max(layer.in_shape[2], 1):
            return f"{layer.filters} filters do not divide among {layer.in_shape[2]} channels."
        steps = {"kernel": layer.kernel, "stride": layer.stride, "dilation": layer.dilation}
        return _wrong_window(layer, steps)
    if isinstance(layer, PoolSpec):
        if layer.kind not in _POOLED:
            return f"pooling {layer.kind!r} came, {', '.join(_POOLED)} are known."
        if layer.activation not in _POOLED[layer.kind]:
            return f"{layer.kind} pooling with {layer.activation} came; write that as a layer."
        steps = {"window": layer.window, "stride": layer.stride}
        return "" if layer.kind == "mean" else _wrong_window(layer, steps)
    nothing = isinstance(layer, ActivateSpec) and layer.activation == "linear"
    return "a linear activation by itself does nothing." if nothing else ""


def _wrong_window(layer: ConvSpec | PoolSpec, steps: dict[str, Pair]) -> str:
    for name, pair in steps.items():
        if len(pair) != 2 or min(pair) < 1 or max(pair) > MAX_STEP:
            return f"{name} {pair} came, 1 to {MAX_STEP} is allowed."
    if layer.padding not in ("valid", "same"):
        return f"padding {layer.padding!r} came, valid and same are known."
    if max(layer.pads) > MAX_STEP:
        return f"same padding is {layer.pads}, at most {MAX_STEP} is allowed."
    return ""


def _wrong_size(layer: Layer) -> str:
    for shape in (layer.in_shape, layer.out_shape):
        if min(shape) < 1 or max(shape) > MAX_SIDE or prod(shape) > MAX_ELEMENTS:
            return (
                f"it is {_by(layer.in_shape)} to {_by(layer.out_shape)} wide, 1 to {MAX_SIDE} "
                f"a side and at most {MAX_ELEMENTS} in all is allowed."
            )
    if prod(layer.weight_shape) > MAX_ELEMENTS or layer.macs > MAX_MACS:
        return (
            f"it has {prod(layer.weight_shape)} weights and {layer.macs} multiply-accumulates, "
            f"at most {MAX_ELEMENTS} and {MAX_MACS} are allowed."
        )
    if layer.activation == "softmax" and prod(layer.out_shape[:2]) != 1:
        return f"softmax is over a vector, the shape is {_by(layer.out_shape)}."
    return ""


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(str(size) for size in shape)
