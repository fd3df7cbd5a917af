"""What a model computes, in float64: the yardstick for every exported file."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError
from edge.spec import ModelSpec
from server.export.reference_ops import activated, summed

__all__ = ["LayerValues", "forward", "layer_values"]


@dataclass(frozen=True)
class LayerValues:
    """Values of one layer, [n, n_out]: `sum` before its activation, `out` after it."""

    sum: NDArray[np.float64]
    out: NDArray[np.float64]


def layer_values(
    spec: ModelSpec, parameters: NDArray[np.float32], x: NDArray[Any]
) -> list[LayerValues]:
    """Run a model and keep every layer's values.

    Args:
        spec: the architecture.
        parameters: float32 [spec.n_parameters].
        x: inputs [n, n_in].

    Raises:
        UsageError: x is not [n, n_in] with n >= 1, or the parameters do not fit.
    """
    if x.ndim != 2 or x.shape[1] != spec.n_in or not len(x):
        raise UsageError(f"inputs of shape {x.shape} came, (n >= 1, {spec.n_in}) is needed.")
    current, values = x.astype(np.float64), []
    parts = iter(spec.split(parameters))
    for layer in spec.layers:
        weights, bias = next(parts) if layer.weight_shape else (None, None)
        z = summed(layer, current.reshape(-1, *layer.in_shape), weights, bias)
        current = activated(layer.activation, z).reshape(len(x), -1)
        values.append(LayerValues(z.reshape(len(x), -1), current))
    return values


def forward(
    spec: ModelSpec, parameters: NDArray[np.float32], x: NDArray[Any]
) -> NDArray[np.float64]:
    """Outputs [n, n_out] of a model for inputs [n, n_in]; see `layer_values`."""
    return layer_values(spec, parameters, x)[-1].out
