"""Operators of TensorFlow Lite with their codes, versions and options.

Numbers are those of the TensorFlow Lite schema, version 3.
"""

from edge.layers import Activation, ConvSpec, Padding, PoolSpec
from server.export.flatfile import Operator, Options

__all__ = ["FUSED", "INT8_OUT", "activate", "convolve", "dense", "plain", "pool"]

FUSED: dict[Activation, int] = {"linear": 0, "relu": 1, "relu6": 3}
"""Activations that a dense layer, a convolution or a pooling may carry."""
_PADDING: dict[Padding, int] = {"same": 0, "valid": 1}
_ACTIVATE: dict[str, int] = {"relu": 19, "relu6": 21, "tanh": 28, "logistic": 14, "softmax": 25}
_POOL = {"max": 17, "average": 1}
# Code, and the versions for float32 and for int8.
_PLAIN = {
    "reshape": (22, 1, 1),
    "pad": (34, 1, 2),
    "mean": (40, 1, 2),
    "quantize": (114, 1, 1),
    "dequantize": (6, 2, 2),
}
INT8_OUT: dict[str, tuple[float, int]] = {
    "softmax": (1 / 256, -128),
    "logistic": (1 / 256, -128),
    "tanh": (1 / 128, 0),
}
"""Scale and zero point of an int8 output: the only ones that the runtimes accept."""


def dense(inputs: tuple[int, ...], out: int, activation: Activation, *, int8: bool) -> Operator:
    """FULLY_CONNECTED of x, weights [n_out][n_in] and bias."""
    options = Options(8, {0: ("int8", _fused(activation))})
    return Operator(9, 4 if int8 else 1, inputs, (out,), options)


def convolve(inputs: tuple[int, ...], out: int, layer: ConvSpec, *, int8: bool) -> Operator:
    """CONV_2D or DEPTHWISE_CONV_2D of x, weights and bias."""
    (down, right), (dilation_down, dilation_right) = layer.stride, layer.dilation
    fields: list[tuple[str, float]] = [
        ("int8", _PADDING[layer.padding]),
        ("int32", right),
        ("int32", down),
        ("int8", _fused(layer.activation)),
        ("int32", dilation_right),
        ("int32", dilation_down),
    ]
    if layer.depthwise:
        fields.insert(3, ("int32", layer.filters // layer.in_shape[2]))
        version = 3 if int8 else 1 if layer.dilation == (1, 1) else 2
        return Operator(4, version, inputs, (out,), Options(2, dict(enumerate(fields))))
    return Operator(3, 3 if int8 else 1, inputs, (out,), Options(1, dict(enumerate(fields))))


def pool(source: int, out: int, layer: PoolSpec, *, int8: bool) -> Operator:
    """MAX_POOL_2D or AVERAGE_POOL_2D."""
    (down, right), (height, width) = layer.stride, layer.window
    fields: list[tuple[str, float]] = [
        ("int8", _PADDING[layer.padding]),
        ("int32", right),
        ("int32", down),
        ("int32", width),
        ("int32", height),
        ("int8", _fused(layer.activation)),
    ]
    options = Options(5, dict(enumerate(fields)))
    return Operator(_POOL[layer.kind], 2 if int8 else 1, (source,), (out,), options)


def activate(source: int, out: int, activation: Activation, *, int8: bool) -> Operator:
    """An activation that stands by itself."""
    options = Options(9, {0: ("float32", 1.0)}) if activation == "softmax" else None
    return Operator(_ACTIVATE[activation], 2 if int8 else 1, (source,), (out,), options)


def plain(name: str, inputs: tuple[int, ...], out: int, *, int8: bool) -> Operator:
    """Reshape, pad, mean, quantize or dequantize: all they need is in their inputs."""
    code, of_float, of_int8 = _PLAIN[name]
    return Operator(code, of_int8 if int8 else of_float, inputs, (out,))


def _fused(activation: Activation) -> int:
    return FUSED.get(activation, 0)
