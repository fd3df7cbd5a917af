"""Tensors of one operator of a chain: shapes, types and scales, checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.chain_layer import UnsupportedOperator
from edge.layer_limits import MAX_ELEMENTS, MAX_MACS, MAX_SIDE
from edge.tflite import Graph, OperatorInfo, TensorInfo
from edge.windows import Shape

__all__ = ["Ends", "constant", "ends_of", "refuse", "shape_of", "weights_of"]

SAME_TYPE = (("float32", "float32"), ("int8", "int8"))


@dataclass(frozen=True)
class Ends:
    """Input and output of an operator; `fields` as `ChainLayer` takes them."""

    in_shape: Shape
    out_shape: Shape
    dtype: str
    fields: dict[str, Any]


def refuse(operator: OperatorInfo, why: str) -> UnsupportedOperator:
    """The error for an operator whose form is not known; `why` follows its name."""
    return UnsupportedOperator(f"{operator.name} version {operator.version} {why}.")


def shape_of(tensor: TensorInfo) -> Shape | None:
    """Height, width and channels; None where that is too large, or there are several samples.

    What has less than four dimensions is a vector.
    """
    sizes = tensor.shape
    if len(sizes) > 4:
        return None
    if len(sizes) == 4:
        shape = (sizes[1], sizes[2], sizes[3])
        one = sizes[0] == 1
    else:
        shape, one = (1, 1, tensor.elements), True
    fits = min(shape) >= 1 and max(shape) <= MAX_SIDE and prod(shape) <= MAX_ELEMENTS
    return shape if one and fits else None


def ends_of(
    graph: Graph,
    operator: OperatorInfo,
    *,
    spatial: bool = False,
    flat_out: bool = False,
    types: Sequence[tuple[str, str]] = SAME_TYPE,
) -> Ends:
    """First input and the output of an operator.

    Args:
        graph: it is part of.
        operator: with one output.
        spatial: both need four dimensions.
        flat_out: the output does not.
        types: of input and output that go together.

    Raises:
        UnsupportedOperator: a shape, type or scale that is not known.
    """
    ends = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
    for tensor, needs in zip(ends, (spatial, spatial and not flat_out), strict=True):
        if shape_of(tensor) is None or (needs and len(tensor.shape) != 4):
            raise refuse(operator, f"has a tensor of shape {tensor.shape[:8]}")
        if tensor.length:
            raise refuse(operator, "works on a constant")
    dtypes = (ends[0].dtype, ends[1].dtype)
    if dtypes not in types:
        raise refuse(operator, f"makes {dtypes[1]} of {dtypes[0]}")
    (in_scale, in_zero), (out_scale, out_zero) = (_scale(operator, t) for t in ends)
    in_shape, out_shape = shape_of(ends[0]), shape_of(ends[1])
    assert in_shape is not None and out_shape is not None
    fields = {
        "dtype": dtypes[0],
        "in_shape": in_shape,
        "out_shape": out_shape,
        "in_scale": in_scale,
        "in_zero": in_zero,
        "out_scale": out_scale,
        "out_zero": out_zero,
    }
    return Ends(in_shape, out_shape, dtypes[0], fields)


def constant(graph: Graph, operator: OperatorInfo, place: int, dtype: str) -> NDArray[Any]:
    """The values of a constant input.

    Raises:
        UnsupportedOperator: it is not there, of another type, or not a constant.
    """
    index = operator.inputs[place] if place < len(operator.inputs) else -1
    if index < 0 or graph.tensors[index].dtype != dtype or not graph.tensors[index].length:
        raise refuse(operator, f"has no constant {dtype} as input {place}")
    tensor = graph.tensors[index]
    if dtype != "int8" and tensor.start % 4:
        raise refuse(operator, "has a constant that is not aligned to 4 bytes")
    if not _sound(tensor):
        raise refuse(operator, "has a constant with a scale that is none")
    return graph.constant(index)


def weights_of(
    graph: Graph,
    operator: OperatorInfo,
    ends: Ends,
    shape: tuple[int, ...],
    filters: int,
    *,
    axis: int,
) -> dict[str, Any]:
    """Weights, bias and their scales, as `ChainLayer` takes them.

    Args:
        graph: it is part of.
        operator: with inputs x, weights, and perhaps a bias.
        ends: of the operator.
        shape: that the weights need.
        filters: output channels.
        axis: dimension of the weights that is the output channel.

    Raises:
        UnsupportedOperator: they do not fit.
    """
    inputs, int8 = operator.inputs, ends.dtype == "int8"
    if len(inputs) not in (2, 3) or inputs[1] < 0:
        raise refuse(operator, f"has {len(inputs)} inputs")
    tensor, bias_at = graph.tensors[inputs[1]], inputs[2] if len(inputs) == 3 else -1
    products = prod(shape) // filters * prod(ends.out_shape)
    if tensor.shape != shape or prod(shape) > MAX_ELEMENTS or products > MAX_MACS:
        raise refuse(operator, f"has weights of shape {tensor.shape[:8]}, {shape} is needed")
    weights = constant(graph, operator, 1, ends.dtype)
    scales = _weight_scales(operator, tensor, filters, axis) if int8 else np.zeros(0, np.float32)
    bias = None
    if bias_at >= 0:
        bias = constant(graph, operator, 2, "int32" if int8 else "float32").ravel()
        if bias.size != filters:
            raise refuse(operator, f"has {bias.size} biases for {filters} channels")
    return {"weights": weights, "bias": bias, "scales": scales, "tensors": (inputs[1], bias_at)}


def _scale(operator: OperatorInfo, tensor: TensorInfo) -> tuple[np.float32, int]:
    zero = tensor.zero_points[0] if tensor.zero_points else 0
    int8 = tensor.dtype == "int8"
    if not _sound(tensor) or (int8 and (len(tensor.scales) != 1 or not -128 <= zero <= 127)):
        raise refuse(operator, f"has a {tensor.dtype} tensor whose scale is not known")
    return (np.float32(tensor.scales[0]), zero) if int8 else (np.float32(0), 0)


def _weight_scales(
    operator: OperatorInfo, tensor: TensorInfo, filters: int, axis: int
) -> NDArray[np.float32]:
    scales = tensor.scales
    if len(scales) not in (1, filters):
        raise refuse(operator, f"has {len(scales)} weight scales for {filters} channels")
    if any(tensor.zero_points) or (len(scales) > 1 and tensor.axis != axis):
        raise refuse(operator, "has weight zero points, or scales of another dimension")
    return np.array(scales, np.float32)


def _sound(tensor: TensorInfo) -> bool:
    scales, zeros = tensor.scales, tensor.zero_points
    return len(zeros) <= len(scales) and all(isfinite(s) and s > 0 for s in scales)
