"""A tail that begins where the replaced layer was: with that layer's weights, as float32."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from edge.artifact import Artifact
from edge.errors import UsageError
from edge.spec import ModelSpec
from edge.tflite import read_graph
from server.bring.feature import Feature
from server.bring.tail import Tail

__all__ = ["begun", "cannot_keep", "check_end", "replaced_layer"]

_FUSED = {"FULLY_CONNECTED": 0, "CONV_2D": 3}
"""Where the options of an operator name the activation that is part of it."""
_SQUASHING = ("softmax", "logsoftmax", "logistic", "sigmoid")
Float32 = NDArray[np.float32]
Dense = tuple[Float32, Float32]
"""Weights [n_out, n_in] and bias [n_out]."""


def begun(spec: ModelSpec, tail: Tail, feature: Feature, kept: Dense | None) -> Float32:
    """The first parameters of a tail.

    Args:
        spec: its layers.
        tail: what is wanted; its seed draws them where none are kept.
        feature: what it learns from.
        kept: weights and bias of the replaced layer; None: they are drawn.

    Raises:
        UsageError: the tail is no layer of that size.
    """
    if kept is None:
        return spec.initial(tail.seed)
    weights, bias = kept
    wanted = spec.weighted[-1].weight_shape
    if len(weights) != tail.outputs:
        option = "--classes" if tail.classes else "--outputs"
        raise cannot_keep(
            feature, f"it has {len(weights)} outputs, {option} {tail.outputs} came",
            hint=f"{option} {len(weights)}, or a new tail",
        )  # fmt: skip
    if weights.shape != wanted:
        raise cannot_keep(feature, f"it takes {weights.shape[1]} values, the tail {wanted[1]}")
    if not (np.isfinite(weights).all() and np.isfinite(bias).all()):
        raise cannot_keep(feature, "it holds NaN or infinity")
    return spec.join([kept])


def check_end(tail: Tail, feature: Feature, behind: Iterable[str]) -> None:
    """Refuse a tail that ends otherwise than the model did, so that it would answer otherwise.

    Args:
        tail: what is wanted.
        feature: what it learns from.
        behind: names of the operators behind the layer that is replaced.

    Raises:
        UsageError: the model ends in a softmax or sigmoid, a tail with `--outputs` in neither.
    """
    ends = [name for name in behind if name.replace("_", "").lower() in _SQUASHING]
    if ends and not tail.classes:
        raise cannot_keep(
            feature, f"{ends[0]} follows it, and nothing follows a tail with --outputs",
            hint=f"--classes {tail.outputs}, or a new tail",
        )  # fmt: skip


def cannot_keep(feature: Feature, why: str, *, hint: str = "a new tail") -> UsageError:
    """The error that says why the weights of a layer cannot be kept."""
    layer = feature.replaced or "what lies behind a tensor that --layer names"
    new = hint if "no --keep-tail" in hint else f"{hint}, without --keep-tail"
    return UsageError(f"the weights of {layer} cannot be kept: {why}.", hint=new)


def replaced_layer(artifact: Artifact, feature: Feature) -> Dense:
    """Weights of the layer of a `.tflite` that a tail replaces.

    Raises:
        UsageError: it is not dense (or a 1x1 convolution of one place), or its numbers are unknown.
        ArtifactError: a constant is not what its shape needs.
    """
    if feature.last < 0:
        raise cannot_keep(feature, "it may be more than one layer", hint="no --layer")
    operator = artifact.operators[feature.last]
    places = feature.shape[1:-1] if len(feature.shape) == 4 else ()
    slot = _FUSED[operator.name]
    if operator.options is not None and operator.options.integer(slot, "b"):
        raise cannot_keep(feature, "an activation is part of it")
    weights = _real(artifact, operator.inputs[1], feature)
    if weights.ndim == 4 and (weights.shape[1:3] != (1, 1) or any(n != 1 for n in places)):
        raise cannot_keep(feature, "it is a convolution over more than one place")
    bias = np.zeros(len(weights), np.float32)
    if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
        bias = _real(artifact, operator.inputs[2], feature)
    return weights.reshape(len(weights), -1), bias.reshape(-1)


def _real(artifact: Artifact, index: int, feature: Feature) -> Float32:
    """A constant as float32."""
    tensor = artifact.tensors[index]
    if tensor.dtype not in ("float32", "int8", "uint8", "int32") or not tensor.length:
        raise cannot_keep(feature, f"they are {tensor.dtype}, or no constant")
    values = np.asarray(read_graph(artifact.data).constant(index), np.float64)
    if tensor.dtype == "float32":
        return np.asarray(values, np.float32)
    many = len(tensor.scales)
    if many not in (1, values.shape[tensor.axis] if tensor.axis < values.ndim else 1):
        raise cannot_keep(feature, f"they have {many} scales")
    along = [1] * values.ndim
    along[tensor.axis if many > 1 else 0] = many
    zeros = np.resize(np.array(tensor.zero_points or (0,)), many).reshape(along)
    return np.asarray((values - zeros) * np.array(tensor.scales).reshape(along), np.float32)
