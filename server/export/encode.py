"""Encode a model in the formats and number types that are wanted."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from edge.spec import ModelSpec
from server.export import onnx, tflite
from server.export.about import About
from server.export.ends import float_front
from server.export.equalise import nearest
from server.export.header import c_header
from server.export.refine import refine
from server.export.wanted import DTYPES, Wanted

__all__ = ["Encoded", "encode"]

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Encoded:
    """One file before it is written.

    Args:
        data: its content.
        parameters: float32 [n], those that it was made from: equalised, refined, or as they came.
    """

    data: bytes = field(repr=False)
    parameters: Floats = field(repr=False, compare=False)


def encode(
    spec: ModelSpec,
    parameters: Floats,
    x: Floats,
    wanted: Wanted,
    about: About,
) -> dict[str, Encoded]:
    """The files by name, such as model.int8.tflite; a header holds the .tflite of its dtype.

    Args:
        spec: the architecture.
        parameters: float32 [spec.n_parameters].
        x: float32 [n, n_in], samples that set the int8 ranges.
        wanted: what to write.
        about: what the files say of themselves.

    Raises:
        UsageError: shapes that do not fit the architecture.
    """
    files, headers = {}, {}
    for dtype in wanted.dtypes:
        short, used = DTYPES[dtype], _prepared(dtype, spec, parameters, x, wanted)
        if "tflite" in wanted.formats or "c" in wanted.formats:
            made = _tflite(dtype, spec, used, x, wanted, about)
            if "tflite" in wanted.formats:
                files[f"model.{short}.tflite"] = Encoded(made, used)
            if "c" in wanted.formats:
                headers[f"model.{short}.h"] = Encoded(c_header(made, about, short), used)
        if "onnx" in wanted.formats and dtype != "hybrid":
            files[f"model.{short}.onnx"] = Encoded(_onnx(dtype, spec, used, x, wanted, about), used)
    return files | headers


def _prepared(dtype: str, spec: ModelSpec, parameters: Floats, x: Floats, wanted: Wanted) -> Floats:
    """Parameters that lose less when they are quantised."""
    if dtype == "float32":
        return parameters
    int8 = sum(bool(layer.weight_shape) for layer in spec.layers)
    int8 -= wanted.float_layers if dtype == "hybrid" else 0
    # With float ends: a softmax in eight bits would hide what the layers before it lose.
    tried, about = replace(wanted, float_ends=True), About("tried")
    found = nearest(
        spec, parameters, x, lambda one: _tflite(dtype, spec, one, x, tried, about), int8
    )
    if not wanted.refined or dtype != "int8":
        return found
    return refine(spec, found, x, exact=float_front(spec) if wanted.float_ends else 0)


def _tflite(
    dtype: str, spec: ModelSpec, parameters: Floats, x: Floats, wanted: Wanted, about: About
) -> bytes:
    if dtype == "float32":
        return tflite.write(spec, parameters, name=about.name, about=about)
    if dtype == "int8":
        return tflite.write_int8(
            spec, parameters, x, per_channel=wanted.per_channel, calibration=wanted.calibration,
            float_ends=wanted.float_ends, name=about.name, about=about,
        )  # fmt: skip
    return tflite.write_hybrid(
        spec, parameters, x, float_layers=wanted.float_layers, per_channel=wanted.per_channel,
        calibration=wanted.calibration, name=about.name, about=about,
    )  # fmt: skip


def _onnx(
    dtype: str, spec: ModelSpec, parameters: Floats, x: Floats, wanted: Wanted, about: About
) -> bytes:
    if dtype == "float32":
        return onnx.write(spec, parameters, name=about.name, about=about)
    return onnx.write_int8(
        spec, parameters, x, per_channel=wanted.per_channel, calibration=wanted.calibration,
        name=about.name, about=about,
    )  # fmt: skip
