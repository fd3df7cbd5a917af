"""How near an int8 file is to float64, layer by layer."""

import numpy as np
from numpy.typing import NDArray

from edge.errors import MissingExtra
from edge.runtime import load_keeping
from edge.spec import ModelSpec
from server.export.reference import layer_values
from server.export.sqnr import sqnr

__all__ = ["layer_sqnr"]

SAMPLES = 50


def layer_sqnr(
    data: bytes, spec: ModelSpec, parameters: NDArray[np.float32], x: NDArray[np.float32]
) -> list[tuple[str, float]]:
    """SQNR of every tensor that a layer makes, in the order of execution.

    Args:
        data: bytes of a `.tflite` that `server.export.tflite` wrote.
        spec: its architecture.
        parameters: float32 [spec.n_parameters].
        x: float32 [n, n_in]; the first 50 are looked at.

    Returns:
        Name of the tensor and dB; nothing where no runtime here keeps the tensors inside.
    """
    try:
        interpreter = load_keeping(data)
    except MissingExtra:
        return []
    x = x[:SAMPLES]
    expected = {}
    for index, values in enumerate(layer_values(spec, parameters, x)):
        activation = spec.layers[index].activation
        expected[str(index)] = values.out
        expected[f"sum{index}"] = values.sum if activation in _APART else values.out
    named = {
        name: (tensor, key)
        for name, tensor in interpreter.tensors().items()
        if (key := _key(name)) in expected
    }
    found: dict[str, list[NDArray[np.float32]]] = {name: [] for name in named}
    for row in x:
        interpreter.run(row[None])
        for name, (tensor, _) in named.items():
            found[name].append(interpreter.value(tensor))
    return [(name, sqnr(expected[key], np.stack(found[name]))) for name, (_, key) in named.items()]


_APART = ("softmax", "logistic", "tanh")
"""Activations that are operators of their own: before them the sum is a tensor."""
_MAKERS = ("dense", "conv", "depthwise", "average", "max", "mean")


def _key(name: str) -> str:
    """Which values a tensor holds: those of a layer's sum, or of its activation."""
    word = name.rstrip("0123456789")
    number = name[len(word) :]
    if not number:
        return ""
    return f"sum{number}" if word in _MAKERS else number if word in _APART else ""
