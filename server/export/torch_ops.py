"""Layers in torch on batches [n, h, w, c], for gradients: the operators of `reference_ops`."""

from typing import Any

from edge.layers import ConvSpec, Layer, LayerSpec, PadSpec, PoolSpec
from edge.windows import Pads

__all__ = ["activated", "summed"]


def summed(layer: Layer, x: Any, weights: Any, bias: Any) -> Any:
    """What a layer makes of a batch before its activation.

    Args:
        layer: which.
        x: float32 tensor [n, *layer.in_shape].
        weights: [outputs, ...]: in the order of the file, for depthwise [filters][kh][kw].
        bias: [c_out]; both None where the layer has none.

    Returns:
        [n, *layer.out_shape].
    """
    from torch.nn import functional

    if isinstance(layer, LayerSpec):
        return (x.reshape(len(x), -1) @ weights.T + bias).reshape(len(x), *layer.out_shape)
    if isinstance(layer, PadSpec):
        return _padded(x, layer.pads, 0.0)
    if isinstance(layer, PoolSpec):
        return _pooled(layer, x)
    if not isinstance(layer, ConvSpec):
        return x
    kernels = weights[:, None] if layer.depthwise else weights.permute(0, 3, 1, 2)
    sums = functional.conv2d(
        _padded(x, layer.pads, 0.0).permute(0, 3, 1, 2),
        kernels,
        bias,
        layer.stride,
        0,
        layer.dilation,
        layer.in_shape[2] if layer.depthwise else 1,
    )
    return sums.permute(0, 2, 3, 1)


def activated(name: str, x: Any) -> Any:
    """`name(x)`; a softmax over all values of a sample."""
    import torch

    if name == "softmax":
        return torch.softmax(x.reshape(len(x), -1), 1).reshape(x.shape)
    if name == "relu6":
        return x.clamp(0, 6)
    known = {"relu": torch.relu, "tanh": torch.tanh, "logistic": torch.sigmoid}
    return known[name](x) if name in known else x


def _pooled(layer: PoolSpec, x: Any) -> Any:
    from torch.nn import functional

    if layer.kind == "max":
        around = _padded(x, layer.pads, float("-inf")).permute(0, 3, 1, 2)
        return functional.max_pool2d(around, layer.window, layer.stride).permute(0, 2, 3, 1)
    sums, counts = (
        functional.avg_pool2d(
            _padded(values, layer.pads, 0.0).permute(0, 3, 1, 2),
            layer.window,
            layer.stride,
            divisor_override=1,
        )
        for values in (x, x.new_ones(1, *x.shape[1:]))
    )
    return (sums / counts).permute(0, 2, 3, 1)


def _padded(image: Any, pads: Pads, value: float) -> Any:
    from torch.nn import functional

    top, bottom, left, right = pads
    return functional.pad(image, (0, 0, left, right, top, bottom), value=value)
