"""Write a model as a float32 `.tflite`, byte for byte the same for the same parameters."""

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge.spec import ModelSpec
from server.export.flatfile import FULLY_CONNECTED, SOFTMAX, TANH, FlatFile, Operator, Tensor

__all__ = ["write"]


def write(
    spec: ModelSpec,
    parameters: NDArray[np.float32],
    *,
    name: str,
    labels: Sequence[str] | None = None,
) -> bytes:
    """Write a float32 `.tflite` that can be trained in place.

    Args:
        spec: the architecture; a cross-entropy model ends in SOFTMAX.
        parameters: float32 [spec.n_parameters], see `ModelSpec`.
        name: description that the file carries.
        labels: names of the outputs, kept as metadata.

    Returns:
        The file: input float32 [1, n_in], output float32 [1, n_out].

    Raises:
        UsageError: the parameters do not fit the architecture.
    """
    file = FlatFile(name)
    current = file.add(Tensor("x", (1, spec.n_in), "float32"))
    file.inputs = (current,)
    for index, (layer, (weights, bias)) in enumerate(
        zip(spec.layers, spec.split(parameters), strict=True)
    ):
        w = file.add(Tensor(f"dense{index}/weights", weights.shape, "float32", weights))
        b = file.add(Tensor(f"dense{index}/bias", bias.shape, "float32", bias))
        out = file.add(Tensor(f"dense{index}", (1, layer.n_out), "float32"))
        relu = layer.activation == "relu"
        file.operators.append(Operator(FULLY_CONNECTED, 1, (current, w, b), (out,), relu))
        current = out
        if layer.activation in ("tanh", "softmax"):
            code = TANH if layer.activation == "tanh" else SOFTMAX
            out = file.add(Tensor(f"{layer.activation}{index}", (1, layer.n_out), "float32"))
            file.operators.append(Operator(code, 1, (current,), (out,)))
            current = out
    file.outputs = (current,)
    if labels is not None:
        file.metadata["labels"] = json.dumps(list(labels)).encode()
    return file.to_bytes()
