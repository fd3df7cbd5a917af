"""How near an int8 file is to float64, layer by layer."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import MissingExtra
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
        interpreter = _interpreter(data)
    except MissingExtra:
        return []
    x = x[:SAMPLES]
    expected = {}
    for index, values in enumerate(layer_values(spec, parameters, x)):
        activation = spec.layers[index].activation
        expected[str(index)] = values.out
        expected[f"sum{index}"] = values.sum if activation in _APART else values.out
    named = [
        (tensor, key)
        for tensor in interpreter.get_tensor_details()
        if (key := _key(tensor["name"])) in expected
    ]
    found: dict[str, list[NDArray[Any]]] = {tensor["name"]: [] for tensor, _ in named}
    into = interpreter.get_input_details()[0]
    for row in x:
        interpreter.set_tensor(into["index"], _codes(row, into))
        interpreter.invoke()
        for tensor, _ in named:
            found[tensor["name"]].append(_real(interpreter.get_tensor(tensor["index"]), tensor))
    return [
        (tensor["name"], sqnr(expected[key], np.stack(found[tensor["name"]])))
        for tensor, key in named
    ]


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


def _interpreter(data: bytes) -> Any:
    for module in ("tflite_runtime.interpreter", "ai_edge_litert.interpreter"):
        try:
            runtime = __import__(module, fromlist=["Interpreter"])
            made = runtime.Interpreter(
                model_content=data,
                experimental_op_resolver_type=(
                    runtime.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
                ),
                experimental_preserve_all_tensors=True,
            )
            made.allocate_tensors()
        except (ImportError, SystemError, AttributeError, OSError):
            continue
        return made
    raise MissingExtra(
        "no runtime here keeps the tensors inside.", hint="pip install ai-edge-litert"
    )


def _codes(row: NDArray[np.float32], into: Any) -> NDArray[Any]:
    shaped = row.reshape(into["shape"])
    if into["dtype"] != np.int8:
        return shaped
    scale, zero = into["quantization"]
    return np.asarray(np.clip(np.rint(shaped / np.float32(scale)) + zero, -128, 127), np.int8)


def _real(values: NDArray[Any], tensor: Any) -> NDArray[np.float64]:
    flat = values.reshape(-1).astype(np.float64)
    scale, zero = tensor["quantization"]
    return (flat - zero) * scale if values.dtype == np.int8 else flat
