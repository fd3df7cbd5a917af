"""Write a model as a float32, int8 or hybrid `.tflite`; the same parameters, the same bytes."""

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError
from edge.spec import ModelSpec
from server.export.about import About, model_metadata
from server.export.ends import float_front
from server.export.flatfile import FlatFile
from server.export.graph import Graph, Weights
from server.export.quantise import Affine, Calibration
from server.export.reference import LayerValues, layer_values

__all__ = ["write", "write_hybrid", "write_int8"]


def write(
    spec: ModelSpec,
    parameters: NDArray[np.float32],
    *,
    name: str,
    labels: Sequence[str] | None = None,
    about: About | None = None,
) -> bytes:
    """Write a float32 `.tflite` that can be trained in place.

    Args:
        spec: the architecture; a cross-entropy model ends in SOFTMAX.
        parameters: float32 [spec.n_parameters], see `ModelSpec`.
        name: description that the file carries.
        labels: names of the outputs, kept as metadata.
        about: more words, kept in the metadata of the format.

    Returns:
        The file: input float32 [1, n_in], or [1, h, w, c] where the first layer is spatial;
        output float32 [1, n_out].

    Raises:
        UsageError: the parameters do not fit the architecture.
    """
    file = FlatFile(name)
    graph = Graph(file, spec.in_shape, None)
    nothing = LayerValues(np.zeros(0), np.zeros(0))
    for index, (layer, parts) in enumerate(zip(spec.layers, _parts(spec, parameters), strict=True)):
        graph.layer(index, layer, parts, nothing)
    _describe(file, labels, about)
    return file.to_bytes()


def write_int8(
    spec: ModelSpec,
    parameters: NDArray[np.float32],
    calibration_x: NDArray[np.float32],
    *,
    per_channel: bool = True,
    calibration: Calibration = "minmax",
    float_ends: bool = False,
    name: str,
    labels: Sequence[str] | None = None,
    about: About | None = None,
) -> bytes:
    """Write an int8 `.tflite`: int8 in, int8 out, no float inside.

    Args:
        spec: the architecture.
        parameters: float32 [spec.n_parameters].
        calibration_x: float32 [n, n_in], samples like those to come; they set the ranges.
        per_channel: one weight scale an output instead of one a layer.
        calibration: how ranges are found, see `quantise.CALIBRATIONS`.
        float_ends: float32 in and out, quantised by the file itself; a first layer of little work
            (`ends.float_front`), and a last activation that is an operator of its own, such as a
            softmax, are left in float32, too.
        name: description that the file carries.
        labels: names of the outputs, kept as metadata.
        about: more words, kept in the metadata of the format.

    Returns:
        The file: input and output as of `write`, but int8, scales inside.

    Raises:
        UsageError: the parameters or the calibration samples do not fit the architecture.
    """
    file = FlatFile(name)
    values = layer_values(spec, parameters, calibration_x)
    around = Affine.fitted(calibration_x, calibration)
    graph = Graph(
        file,
        spec.in_shape,
        None if float_ends else around,
        per_channel=per_channel,
        calibration=calibration,
    )
    front, last = float_front(spec), len(spec.layers) - 1
    for index, (layer, parts) in enumerate(zip(spec.layers, _parts(spec, parameters), strict=True)):
        if float_ends and index == front:
            graph.quantize(Affine.fitted(values[index - 1].out, calibration) if index else around)
        graph.layer(index, layer, parts, values[index], leave_int8=float_ends and index == last)
    _describe(file, labels, about)
    return file.to_bytes()


def write_hybrid(
    spec: ModelSpec,
    parameters: NDArray[np.float32],
    calibration_x: NDArray[np.float32],
    *,
    float_layers: int,
    per_channel: bool = True,
    calibration: Calibration = "minmax",
    name: str,
    labels: Sequence[str] | None = None,
    about: About | None = None,
) -> bytes:
    """Write a hybrid `.tflite`: an int8 backbone, and a float32 tail that can be trained.

    Args:
        spec: the architecture.
        parameters: float32 [spec.n_parameters].
        calibration_x: float32 [n, n_in], samples like those to come; they set the ranges.
        float_layers: how many layers with weights, from the end, stay float32.
        per_channel: one weight scale an output instead of one a layer.
        calibration: how ranges are found, see `quantise.CALIBRATIONS`.
        name: description that the file carries.
        labels: names of the outputs, kept as metadata.
        about: more words, kept in the metadata of the format.

    Returns:
        The file: input and output as of `write`; inside QUANTIZE, the int8 layers, DEQUANTIZE,
        and the float32 ones.

    Raises:
        UsageError: what does not fit the architecture, or nothing would be int8 or float32.
    """
    weighted = [i for i, layer in enumerate(spec.layers) if layer.weight_shape]
    if not 1 <= float_layers < len(weighted):
        most = len(weighted) - 1
        layers = f"--float-layers {most if most == 1 else f'1 to {most}'}, or " if most else ""
        raise UsageError(
            f"{float_layers} float32 layers of a hybrid came; the model has {len(weighted)} layers "
            "with weights, and at least one is int8.",
            hint=f"{layers}--dtype float32, or int8",
        )
    file = FlatFile(name)
    values = layer_values(spec, parameters, calibration_x)
    graph = Graph(file, spec.in_shape, None, per_channel=per_channel, calibration=calibration)
    graph.quantize(Affine.fitted(calibration_x, calibration))
    for index, (layer, parts) in enumerate(zip(spec.layers, _parts(spec, parameters), strict=True)):
        if index == weighted[-float_layers]:
            graph.dequantize()
        graph.layer(index, layer, parts, values[index])
    _describe(file, labels, about)
    return file.to_bytes()


def _parts(spec: ModelSpec, parameters: NDArray[np.float32]) -> list[Weights | None]:
    """Weights and bias of every layer; None where it has none."""
    parts = iter(spec.split(parameters))
    return [next(parts) if layer.weight_shape else None for layer in spec.layers]


def _describe(file: FlatFile, labels: Sequence[str] | None, about: About | None) -> None:
    named = labels if labels is not None or about is None else about.labels or None
    if named is not None:
        file.metadata["labels"] = json.dumps(list(named)).encode()
    if about is not None:
        file.metadata["TFLITE_METADATA"] = model_metadata(about)
