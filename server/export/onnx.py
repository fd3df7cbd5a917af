"""Write a model as a float32 or int8 `.onnx`; the same parameters give the same bytes."""

import io
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.spec import ModelSpec
from server.export.about import About
from server.export.onnx_graph import OnnxGraph
from server.export.quantise import SMALLEST_SCALE, Affine, Calibration, with_headroom
from server.export.reference import LayerValues, layer_values

__all__ = ["IR_VERSION", "OPSET", "write", "write_int8"]

# Named, because the newest versions are more than older runtimes read.
IR_VERSION, OPSET = 8, 17
_QUANTISED = ["Gemm", "Conv", "Relu", "Clip", "Tanh", "Sigmoid", "MaxPool", "AveragePool"]
_QUANTISED += ["GlobalAveragePool", "Pad", "Reshape", "Transpose"]


def write(
    spec: ModelSpec,
    parameters: NDArray[np.float32],
    *,
    name: str,
    about: About | None = None,
) -> bytes:
    """Write a float32 `.onnx`.

    Args:
        spec: the architecture; a cross-entropy model ends in Softmax.
        parameters: float32 [spec.n_parameters], see `ModelSpec`.
        name: of the graph.
        about: more words, kept as metadata properties.

    Returns:
        The file: input x float32 [batch, n_in], output y float32 [batch, n_out].

    Raises:
        UsageError: the parameters do not fit the architecture.
    """
    return _bytes(_model(spec, _graph(spec, parameters), name), about)


def write_int8(
    spec: ModelSpec,
    parameters: NDArray[np.float32],
    calibration_x: NDArray[np.float32],
    *,
    per_channel: bool = True,
    calibration: Calibration = "minmax",
    name: str,
    about: About | None = None,
) -> bytes:
    """Write an 8-bit `.onnx`: unsigned QDQ around every operator but Softmax, float in and out.

    Args:
        spec: the architecture.
        parameters: float32 [spec.n_parameters].
        calibration_x: float32 [n, n_in], samples like those to come; they set the ranges.
        per_channel: one weight scale an output instead of one a layer.
        calibration: how ranges are found, see `quantise.CALIBRATIONS`.
        name: of the graph.
        about: more words, kept as metadata properties.

    Returns:
        The file: input x float32 [batch, n_in], output y float32 [batch, n_out].

    Raises:
        UsageError: the parameters or the calibration samples do not fit the architecture.
    """
    import onnx
    from onnxruntime import quantization

    graph = _graph(spec, parameters)
    model = _model(spec, graph, name)
    values = layer_values(spec, parameters, calibration_x)
    around = {
        held: Affine.fitted(
            _seen(spec, values, *held) if held[0] >= 0 else calibration_x, calibration
        )
        for held in set(graph.holds.values())
    }
    codes = {tensor: [_unsigned(around[held])] for tensor, held in graph.holds.items()}
    with tempfile.TemporaryDirectory(prefix="tinyfleet-") as folder, _quiet():
        out = Path(folder) / "int8.onnx"
        quantization.quantize_static(
            model,
            out,
            _reader(calibration_x[:1]),  # it only tells which tensors there are
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=_QUANTISED,
            per_channel=per_channel,
            # Not signed: below AVX-512 VNNI, onnxruntime multiplies signed weights with an
            # instruction that saturates, and what it answers is wrong by decibels.
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QUInt8,
            extra_options={"TensorQuantOverrides": codes},
        )
        made = onnx.load(out)
    made.ir_version = IR_VERSION
    onnx.checker.check_model(made)
    return _bytes(made, about)


def _bytes(model: Any, about: About | None) -> bytes:
    import onnx

    if about is not None:
        onnx.helper.set_model_props(model, about.fields())
        model.doc_string = about.name
    return bytes(model.SerializeToString(deterministic=True))


def _seen(spec: ModelSpec, values: list[LayerValues], index: int, behind: bool) -> NDArray[Any]:
    """Values of a layer that set the range of a tensor; those before a softmax get headroom."""
    if behind:
        return values[index].out
    sums = values[index].sum
    return with_headroom(sums) if spec.layers[index].activation == "softmax" else sums


def _unsigned(around: Affine) -> dict[str, NDArray[Any]]:
    """The same codes, from 0 to 255; where all is zero, a step that a bias can be counted in."""
    scale = around.scale if around.scale > SMALLEST_SCALE else 1.0
    return {
        "scale": np.array(scale, np.float32),
        "zero_point": np.array(around.zero + 128, np.uint8),
    }


def _graph(spec: ModelSpec, parameters: NDArray[np.float32]) -> OnnxGraph:
    made = OnnxGraph()
    parts = iter(spec.split(parameters))
    for index, layer in enumerate(spec.layers):
        made.layer(index, layer, next(parts) if layer.weight_shape else None)
    made.finish(len(spec.layers))
    return made


def _model(spec: ModelSpec, made: OnnxGraph, name: str) -> Any:
    import onnx
    from onnx import helper

    ends = [
        helper.make_tensor_value_info(end, onnx.TensorProto.FLOAT, ["batch", width])
        for end, width in (("x", spec.n_in), ("y", spec.n_out))
    ]
    graph = helper.make_graph(made.nodes, name, ends[:1], ends[1:], made.constants)
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, producer_name="tinyfleet")
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model)
    return model


def _reader(x: NDArray[np.float32]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            self._rows = iter([np.ascontiguousarray(x, np.float32)])

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            rows = next(self._rows, None)
            return None if rows is None else {"x": rows}

    return Reader()


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back the advice to run a pre-processing that changes nothing here, and the chatter."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)
