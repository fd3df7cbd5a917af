"""Write a model as a float32 or int8 `.tflite`; the same parameters give the same bytes."""

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge.spec import ModelSpec
from server.export.flatfile import FULLY_CONNECTED, SOFTMAX, TANH, FlatFile, Operator, Tensor
from server.export.quantise import SOFTMAX_OUT, TANH_OUT, Affine, DenseInt8, quantise_dense
from server.export.reference import layer_values

__all__ = ["write", "write_int8"]

_FLOAT_VERSION, _INT8_DENSE, _INT8_ACTIVATION = 1, 4, 2


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
        file.operators.append(
            Operator(FULLY_CONNECTED, _FLOAT_VERSION, (current, w, b), (out,), relu)
        )
        current = out
        if layer.activation in ("tanh", "softmax"):
            code = TANH if layer.activation == "tanh" else SOFTMAX
            out = file.add(Tensor(f"{layer.activation}{index}", (1, layer.n_out), "float32"))
            file.operators.append(Operator(code, _FLOAT_VERSION, (current,), (out,)))
            current = out
    file.outputs = (current,)
    _keep_labels(file, labels)
    return file.to_bytes()


def write_int8(
    spec: ModelSpec,
    parameters: NDArray[np.float32],
    calibration_x: NDArray[np.float32],
    *,
    per_channel: bool = True,
    name: str,
    labels: Sequence[str] | None = None,
) -> bytes:
    """Write an int8 `.tflite`: int8 in, int8 out, no float inside.

    Args:
        spec: the architecture.
        parameters: float32 [spec.n_parameters].
        calibration_x: float32 [n, n_in], samples like those to come; they set the ranges.
        per_channel: one weight scale an output instead of one a layer.
        name: description that the file carries.
        labels: names of the outputs, kept as metadata.

    Returns:
        The file: input int8 [1, n_in], output int8 [1, n_out], scales inside.

    Raises:
        UsageError: the parameters or the calibration samples do not fit the architecture.
    """
    file = FlatFile(name)
    around = Affine.covering(calibration_x)
    values = layer_values(spec, parameters, calibration_x)
    current = file.add(_activation("x", spec.n_in, around))
    file.inputs = (current,)
    for index, (layer, (weights, bias), value) in enumerate(
        zip(spec.layers, spec.split(parameters), values, strict=True)
    ):
        dense = quantise_dense(weights, bias, around.scale, per_channel=per_channel)
        constants = _int8_constants(file, index, dense)
        around = Affine.covering(value.dense)
        out = file.add(_activation(f"dense{index}", layer.n_out, around))
        relu = layer.activation == "relu"
        inputs = (current, *constants)
        file.operators.append(Operator(FULLY_CONNECTED, _INT8_DENSE, inputs, (out,), relu))
        current = out
        if layer.activation in ("tanh", "softmax"):
            tanh = layer.activation == "tanh"
            around = TANH_OUT if tanh else SOFTMAX_OUT
            out = file.add(_activation(f"{layer.activation}{index}", layer.n_out, around))
            code = TANH if tanh else SOFTMAX
            file.operators.append(Operator(code, _INT8_ACTIVATION, (current,), (out,)))
            current = out
    file.outputs = (current,)
    _keep_labels(file, labels)
    return file.to_bytes()


def _activation(name: str, width: int, around: Affine) -> Tensor:
    return Tensor(name, (1, width), "int8", None, (around.scale,), (around.zero,))


def _int8_constants(file: FlatFile, index: int, dense: DenseInt8) -> tuple[int, int]:
    zeros = (0,) * len(dense.scales)
    w = Tensor(
        f"dense{index}/weights", dense.weights.shape, "int8", dense.weights, dense.scales, zeros
    )
    b = Tensor(
        f"dense{index}/bias", dense.bias.shape, "int32", dense.bias, dense.bias_scales, zeros
    )
    return file.add(w), file.add(b)


def _keep_labels(file: FlatFile, labels: Sequence[str] | None) -> None:
    if labels is not None:
        file.metadata["labels"] = json.dumps(list(labels)).encode()
