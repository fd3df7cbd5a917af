"""Read one operator of a graph as a layer of a chain, or refuse it by name."""

from collections.abc import Callable
from math import prod
from typing import Any

from numpy.typing import NDArray

from edge.chain_layer import ChainLayer
from edge.chain_tensors import Ends, constant, ends_of, refuse, weights_of
from edge.layers import Activation, Padding
from edge.tflite import Graph, OperatorInfo
from edge.windows import Pair, pads_of, places

__all__ = ["LAYERS", "VERSIONS"]

VERSIONS = {
    "FULLY_CONNECTED": 9,
    "CONV_2D": 5,
    "DEPTHWISE_CONV_2D": 5,
    "MAX_POOL_2D": 3,
    "AVERAGE_POOL_2D": 3,
    "MEAN": 3,
    "PAD": 2,
    "RESHAPE": 1,
    "RELU": 3,
    "RELU6": 3,
    "TANH": 3,
    "LOGISTIC": 3,
    "SOFTMAX": 3,
    "QUANTIZE": 3,
    "DEQUANTIZE": 5,
}
"""The newest version of each operator that is read; float32 and int8 mean the same in all."""

FUSED: dict[int, Activation] = {0: "linear", 1: "relu", 3: "relu6"}
PADDINGS: dict[int, Padding] = {0: "same", 1: "valid"}
SEPARATE: dict[str, Activation] = {
    "RELU": "relu",
    "RELU6": "relu6",
    "TANH": "tanh",
    "LOGISTIC": "logistic",
    "SOFTMAX": "softmax",
}


def _integer(operator: OperatorInfo, slot: int, code: str, absent: int = 0) -> int:
    return operator.options.integer(slot, code, absent) if operator.options else absent


def _fused(operator: OperatorInfo, slot: int) -> Activation:
    code = _integer(operator, slot, "b")
    if code not in FUSED:
        raise refuse(operator, f"has fused activation {code}")
    return FUSED[code]


def _dense(graph: Graph, operator: OperatorInfo) -> ChainLayer:
    ends = ends_of(graph, operator)
    if _integer(operator, 1, "b"):
        raise refuse(operator, "has shuffled weights")
    n_in, n_out = prod(ends.in_shape), prod(ends.out_shape)
    weights = weights_of(graph, operator, ends, (n_out, n_in), n_out, axis=0)
    shapes = {"in_shape": (1, 1, n_in), "out_shape": (1, 1, n_out)}
    fields = ends.fields | weights | shapes
    return ChainLayer(kind="dense", activation=_fused(operator, 0), **fields)


def _conv(graph: Graph, operator: OperatorInfo) -> ChainLayer:
    depthwise = operator.name == "DEPTHWISE_CONV_2D"
    ends = ends_of(graph, operator, spatial=True)
    found = graph.tensors[operator.inputs[1]].shape if len(operator.inputs) > 1 else ()
    if len(found) != 4:
        raise refuse(operator, f"has weights of shape {found}")
    channels, filters = ends.in_shape[2], ends.out_shape[2]
    if depthwise:
        shape, last = (1, found[1], found[2], filters), 4
        if filters % channels:
            raise refuse(operator, f"makes {filters} channels of {channels}")
    else:
        shape, last = (filters, found[1], found[2], channels), 3
    kernel = (found[1], found[2])
    dilation = _integer(operator, last + 2, "i", 1), _integer(operator, last + 1, "i", 1)
    fields = ends.fields | _window(operator, ends, kernel, dilation)
    fields |= weights_of(graph, operator, ends, shape, filters, axis=3 if depthwise else 0)
    if depthwise:
        fields["weights"] = fields["weights"].reshape(shape[1:])
    kind: Any = "depthwise" if depthwise else "conv"
    return ChainLayer(kind=kind, activation=_fused(operator, last), **fields)


def _pool(graph: Graph, operator: OperatorInfo) -> ChainLayer:
    ends = ends_of(graph, operator, spatial=True)
    kernel = _integer(operator, 4, "i"), _integer(operator, 3, "i")
    fields = ends.fields | _window(operator, ends, kernel, (1, 1))
    _same(operator, ends)
    if ends.in_shape[2] != ends.out_shape[2]:
        raise refuse(operator, "changes the channels")
    kind: Any = "max_pool" if operator.name == "MAX_POOL_2D" else "average_pool"
    return ChainLayer(kind=kind, activation=_fused(operator, 5), **fields)


def _window(operator: OperatorInfo, ends: Ends, kernel: Pair, dilation: Pair) -> dict[str, Any]:
    code = _integer(operator, 0, "b")
    stride = _integer(operator, 2, "i"), _integer(operator, 1, "i")
    if code not in PADDINGS or not all(1 <= n <= 255 for n in (*kernel, *stride, *dilation)):
        raise refuse(
            operator,
            f"has kernel {kernel}, stride {stride}, dilation {dilation}, padding {code}",
        )
    padding = PADDINGS[code]
    found = places(ends.in_shape, kernel, stride, padding, dilation)
    pads = pads_of(ends.in_shape, kernel, stride, padding, dilation)
    if found != ends.out_shape[:2] or max(pads) > 255:
        raise refuse(operator, f"gives {ends.out_shape[:2]} places, {found} follow from its form")
    return {
        "kernel": kernel,
        "stride": stride,
        "dilation": dilation,
        "padding": padding,
        "pads": pads,
    }


def _mean(graph: Graph, operator: OperatorInfo) -> ChainLayer:
    ends = ends_of(graph, operator, spatial=True, flat_out=True)
    axes = constant(graph, operator, 1, "int32").ravel().tolist()
    if len(axes) != 2 or {axis % 4 for axis in axes if -4 <= axis < 4} != {1, 2}:
        raise refuse(operator, f"is over dimensions {axes[:8]}, [1, 2] is known")
    if prod(ends.out_shape) != ends.in_shape[2]:
        raise refuse(operator, "changes the channels")
    fields = ends.fields | {"out_shape": (1, 1, ends.in_shape[2])}
    kernel = ends.in_shape[:2]
    return ChainLayer(kind="mean", kernel=kernel, stride=kernel, **fields)


def _pad(graph: Graph, operator: OperatorInfo) -> ChainLayer:
    ends = ends_of(graph, operator, spatial=True)
    around = constant(graph, operator, 1, "int32").ravel()
    if around.size != 8 or around[[0, 1, 6, 7]].any() or not _all_small(around):
        raise refuse(operator, "pads more than height and width")
    _same(operator, ends)
    top, bottom, left, right = around[2:6].tolist()
    h, w, c = ends.in_shape
    if ends.out_shape != (h + top + bottom, w + left + right, c):
        raise refuse(operator, f"gives shape {ends.out_shape}")
    return ChainLayer(kind="pad", pads=(top, bottom, left, right), **ends.fields)


def _all_small(numbers: NDArray[Any]) -> bool:
    return bool(((numbers >= 0) & (numbers <= 255)).all())


def _activate(graph: Graph, operator: OperatorInfo) -> ChainLayer:
    ends = ends_of(graph, operator)
    _as_many(operator, ends)
    activation = SEPARATE[operator.name]
    if activation == "softmax":
        shape = graph.tensors[operator.inputs[0]].shape
        beta = operator.options.scalar(0, "f") if operator.options else 0.0
        if beta != 1.0 or not shape or shape[-1] != prod(ends.in_shape):
            raise refuse(operator, f"has beta {beta:g} and shape {shape[:8]}")
    return ChainLayer(kind="activate", activation=activation, **ends.fields)


def _quantize(graph: Graph, operator: OperatorInfo) -> ChainLayer:
    ends = ends_of(graph, operator, types=(("float32", "int8"), ("int8", "int8")))
    _as_many(operator, ends)
    return ChainLayer(kind="quantize", **ends.fields)


def _dequantize(graph: Graph, operator: OperatorInfo) -> ChainLayer:
    ends = ends_of(graph, operator, types=(("int8", "float32"),))
    _as_many(operator, ends)
    return ChainLayer(kind="dequantize", **ends.fields)


def _reshape(graph: Graph, operator: OperatorInfo) -> None:
    ends = ends_of(graph, operator)
    _as_many(operator, ends)
    _same(operator, ends)


def _same(operator: OperatorInfo, ends: Ends) -> None:
    fields = ends.fields
    if (fields["in_scale"], fields["in_zero"]) != (fields["out_scale"], fields["out_zero"]):
        raise refuse(operator, "changes the scale")


def _as_many(operator: OperatorInfo, ends: Ends) -> None:
    if prod(ends.in_shape) != prod(ends.out_shape):
        raise refuse(operator, f"makes shape {ends.out_shape} of {ends.in_shape}")


LAYERS: dict[str, Callable[[Graph, OperatorInfo], ChainLayer | None]] = {
    "FULLY_CONNECTED": _dense,
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _conv,
    "MAX_POOL_2D": _pool,
    "AVERAGE_POOL_2D": _pool,
    "MEAN": _mean,
    "PAD": _pad,
    "RESHAPE": _reshape,
    "QUANTIZE": _quantize,
    "DEQUANTIZE": _dequantize,
    **dict.fromkeys(SEPARATE, _activate),
}
"""How each operator is read; a RESHAPE is no layer."""
