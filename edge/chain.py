"""See a graph as a chain of layers, which is what the learner knows."""

from dataclasses import replace

from edge.chain_layer import ChainLayer, UnsupportedOperator
from edge.chain_ops import LAYERS, VERSIONS
from edge.chain_tensors import shape_of
from edge.layer_limits import MAX_LAYERS
from edge.layers import ActivateSpec, ConvSpec, Layer, LayerSpec, PadSpec, PoolKind, PoolSpec
from edge.tflite import Graph, OperatorInfo

__all__ = ["ChainLayer", "UnsupportedOperator", "chain", "layer_specs"]

CHANGES = ("quantize", "dequantize")


def chain(graph: Graph) -> tuple[ChainLayer, ...]:
    """The layers of a graph from input to output, as `tl_model_open` finds them.

    A float32 activation becomes part of a linear layer before it.

    Raises:
        UnsupportedOperator: it is not a chain of supported operators.
    """
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise UnsupportedOperator("the graph has more than one input or output.")
    parts: list[ChainLayer] = []
    current = graph.inputs[0]
    if shape_of(graph.tensors[current]) is None:
        raise UnsupportedOperator(f"the input has shape {graph.tensors[current].shape[:8]}.")
    for operator in graph.operators:
        _check(operator, current)
        if parts and parts[-1].activation == "softmax" and operator.name != "DEQUANTIZE":
            raise UnsupportedOperator(f"{operator.name} follows a SOFTMAX.")
        part = LAYERS[operator.name](graph, operator)
        if part is not None:
            _append(parts, part)
        current = operator.outputs[0]
    if not parts or current != graph.outputs[0]:
        raise UnsupportedOperator("the graph does not end in its last layer.")
    if len(parts) > MAX_LAYERS:
        raise UnsupportedOperator(f"{len(parts)} layers came, at most {MAX_LAYERS} are known.")
    return tuple(parts)


def layer_specs(parts: tuple[ChainLayer, ...]) -> tuple[list[Layer], int]:
    """The architecture behind a chain, and how many layers at its front cannot be trained.

    Those are all up to the last int8 one. A change of scale or type is no layer of an
    architecture, and an int8 activation is part of a linear layer before it.
    """
    found: list[Layer] = []
    frozen = 0
    before: ChainLayer | None = None
    for part in parts:
        if before is not None and _joins(before, part):
            found[-1] = _spec(replace(before, activation=part.activation))
        elif part.kind not in CHANGES:
            found.append(_spec(part))
        if part.dtype == "int8" or part.kind == "quantize":
            frozen = len(found)
        before = part
    return found, frozen


def _spec(part: ChainLayer) -> Layer:
    shape, activation = part.in_shape, part.activation
    if part.kind == "dense":
        return LayerSpec(shape[2], part.out_shape[2], activation)
    if part.kind in ("conv", "depthwise"):
        filters, depthwise = part.out_shape[2], part.kind == "depthwise"
        return ConvSpec(
            shape, filters, part.kernel, part.stride, part.padding, part.dilation, activation,
            depthwise,
        )  # fmt: skip
    if part.kind == "pad":
        return PadSpec(shape, part.pads)
    if part.kind == "activate":
        return ActivateSpec(shape, activation)
    kinds: dict[str, PoolKind] = {"max_pool": "max", "average_pool": "average", "mean": "mean"}
    return PoolSpec(kinds[part.kind], shape, part.kernel, part.stride, part.padding, activation)


def _check(operator: OperatorInfo, current: int) -> None:
    if not 1 <= operator.version <= VERSIONS.get(operator.name, 0):
        raise UnsupportedOperator(
            f"{operator.name} version {operator.version} is not supported.",
            hint=f"a model of {', '.join(VERSIONS)}",
        )
    if not operator.inputs or operator.inputs[0] != current or len(operator.outputs) != 1:
        raise UnsupportedOperator(f"{operator.name} does not follow the operator before it.")
    if operator.outputs[0] < 0 or current < 0:
        raise UnsupportedOperator(f"{operator.name} has no output.")


def _append(parts: list[ChainLayer], part: ChainLayer) -> None:
    if parts and part.dtype == "float32" and _joins(parts[-1], part):
        parts[-1] = replace(parts[-1], activation=part.activation)
    else:
        parts.append(part)


def _joins(before: ChainLayer, part: ChainLayer) -> bool:
    """Whether an activation can be part of the layer before it."""
    return (
        part.kind == "activate"
        and before.weights is not None
        and before.activation == "linear"
        and before.dtype == part.dtype
    )
