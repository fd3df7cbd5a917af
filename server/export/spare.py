"""Spare classes of a softmax model, for devices to put into use without a new artefact."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError
from edge.learner.classes import SPARE_BIAS
from edge.spec import LayerSpec, ModelSpec

__all__ = ["with_spare_classes"]


def with_spare_classes(
    spec: ModelSpec, parameters: NDArray[np.float32], spare: int
) -> tuple[ModelSpec, NDArray[np.float32]]:
    """Add classes to a model whose probability is about 0 until their first sample.

    Args:
        spec: a model that ends in a dense layer with softmax.
        parameters: float32 [n], of that model.
        spare: how many classes to add.

    Returns:
        The architecture and parameters with the classes at the end.

    Raises:
        UsageError: the model ends in another layer, or `spare` is below 0.

    >>> spec = ModelSpec.mlp([4, 3], output="softmax")
    >>> wider, vector = with_spare_classes(spec, spec.initial(0), 2)
    >>> wider.n_out, vector.size, vector[-2:]
    (5, 25, array([-30., -30.], dtype=float32))
    """
    last = spec.layers[-1]
    if not isinstance(last, LayerSpec) or last.activation != "softmax":
        raise UsageError("spare classes need a model that ends in a dense layer with softmax.")
    if spare < 0:
        raise UsageError(f"{spare} spare classes came, 0 or more are allowed.")
    layers = (*spec.layers[:-1], replace(last, n_out=last.n_out + spare))
    bias = np.full(spare, SPARE_BIAS, np.float32)
    split = parameters.size - last.n_out
    parts = (parameters[:split], np.zeros(spare * last.n_in, np.float32), parameters[split:], bias)
    return replace(spec, layers=layers), np.concatenate(parts)
