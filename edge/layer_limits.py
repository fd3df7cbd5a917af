"""What the learner would refuse of one layer, said before a file is written."""

from math import prod

from edge.layers import ACTIVATIONS, ConvSpec, Layer, LayerSpec, PadSpec, PoolSpec

__all__ = ["MAX_ELEMENTS", "MAX_LAYERS", "MAX_MACS", "MAX_SIDE", "MAX_STEP", "problem"]

# What the fields of `tl_layer` hold, and the bounds of tinylearn.h.
MAX_SIDE, MAX_STEP = 0xFFFF, 0xFF
MAX_ELEMENTS, MAX_MACS = 1 << 20, 1 << 28
MAX_LAYERS = 64


def problem(layer: Layer) -> str:
    """What is wrong with a layer; empty if nothing is."""
    if layer.activation not in ACTIVATIONS:
        return f"activation {layer.activation!r} came, {', '.join(ACTIVATIONS)} are known."
    wrong = "" if isinstance(layer, LayerSpec) else _wrong_window(layer)
    return wrong or _wrong_size(layer)


def _wrong_window(layer: Layer) -> str:
    if isinstance(layer, PadSpec):
        if min(layer.pads) < 0 or max(layer.pads) > MAX_STEP:
            return f"padding {layer.pads} came, 0 to {MAX_STEP} is allowed."
        return ""
    if not isinstance(layer, ConvSpec | PoolSpec):
        return ""
    steps = {"stride": layer.stride}
    if isinstance(layer, ConvSpec):
        steps |= {"kernel": layer.kernel, "dilation": layer.dilation}
        if layer.depthwise and layer.filters % max(layer.in_shape[2], 1):
            return f"{layer.filters} filters do not divide among {layer.in_shape[2]} channels."
    elif layer.kind == "mean":
        steps = {}
    else:
        steps["window"] = layer.window
        if layer.kind not in ("max", "average", "mean"):
            return f"pooling {layer.kind!r} came, max, average and mean are known."
    for name, pair in steps.items():
        if len(pair) != 2 or min(pair) < 1 or max(pair) > MAX_STEP:
            return f"{name} {pair} came, 1 to {MAX_STEP} is allowed."
    if layer.padding not in ("valid", "same"):
        return f"padding {layer.padding!r} came, valid and same are known."
    if max(layer.pads) > MAX_STEP:
        return f"same padding is {layer.pads}, at most {MAX_STEP} is allowed."
    return ""


def _wrong_size(layer: Layer) -> str:
    if len(layer.in_shape) != 3:
        return f"shape {layer.in_shape} came, (height, width, channels) is needed."
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
