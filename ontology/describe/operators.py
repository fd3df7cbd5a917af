"""Any model file: its layers, shapes and types, and the activations it keeps alive."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.tflite import SIZES
from ontology.describe.liveness import peak_bytes

if TYPE_CHECKING:
    from edge.artifact import Artifact
    from edge.tflite import OperatorInfo, TensorInfo

__all__ = ["LAYER_TYPES", "LayerFacts", "activation_bytes", "operator_layers"]

LAYER_TYPES = {
    "AVERAGE_POOL_2D": "AveragePool2D",
    "AveragePool": "AveragePool2D",
    "CONV_2D": "Conv2D",
    "Conv": "Conv2D",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2D",
    "DEQUANTIZE": "Dequantize",
    "DequantizeLinear": "Dequantize",
    "FULLY_CONNECTED": "FullyConnected",
    "Gemm": "FullyConnected",
    "LOGISTIC": "Logistic",
    "MAX_POOL_2D": "MaxPool2D",
    "MatMul": "FullyConnected",
    "MaxPool": "MaxPool2D",
    "QUANTIZE": "Quantize",
    "QuantizeLinear": "Quantize",
    "RELU": "Relu",
    "RESHAPE": "Reshape",
    "Relu": "Relu",
    "Reshape": "Reshape",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighbor",
    "SOFTMAX": "Softmax",
    "Sigmoid": "Logistic",
    "Softmax": "Softmax",
    "TANH": "Tanh",
    "Tanh": "Tanh",
}
"""Operators of TensorFlow Lite and ONNX that the neural-network schema has a layer type for."""
_FUSED = {1: "relu", 2: "relu_n1_to_1", 3: "relu6", 4: "tanh"}
_ACTIVATION_SLOT = {
    "ADD": 0, "AVERAGE_POOL_2D": 5, "CONV_2D": 3, "DEPTHWISE_CONV_2D": 4, "FULLY_CONNECTED": 0,
    "MAX_POOL_2D": 5, "MUL": 0, "SUB": 0,
}  # fmt: skip


@dataclass(frozen=True)
class LayerFacts:
    """One layer; None and empty mean unknown.

    Args:
        inputs: elements taken.
        outputs: elements given.
        activation: name of the activation.
        operator: name of the operator, as the file's format writes it.
        in_shape: sizes of what is taken, batch first.
        out_shape: sizes of what is given, batch first.
        data_type: type of its weights, or of its input where it has none.
    """

    inputs: int
    outputs: int
    activation: str | None = None
    operator: str = "FULLY_CONNECTED"
    in_shape: tuple[int, ...] = ()
    out_shape: tuple[int, ...] = ()
    data_type: str | None = None


def operator_layers(artifact: "Artifact") -> tuple[LayerFacts, ...]:
    """One layer for each operator of a `.tflite`, in order of execution; of an `.onnx`, none.

    The shapes inside an `.onnx` are not stated in the file, and inferring them needs onnx.
    """
    return tuple(
        _layer(operator, artifact.tensors)
        for operator in artifact.operators
        if operator.code >= 0 and operator.inputs and operator.outputs and operator.inputs[0] >= 0
    )


def _layer(operator: "OperatorInfo", tensors: "tuple[TensorInfo, ...]") -> LayerFacts:
    taken, given = tensors[operator.inputs[0]], tensors[operator.outputs[0]]
    weighted = operator.name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
    kind = tensors[operator.inputs[1]] if weighted and len(operator.inputs) > 1 else taken
    slot = _ACTIVATION_SLOT.get(operator.name)
    fused = None
    if slot is not None and operator.options is not None:
        fused = _FUSED.get(operator.options.integer(slot, "b"), "linear")
    return LayerFacts(
        taken.elements, given.elements, fused, operator.name, taken.shape, given.shape, kind.dtype
    )


def activation_bytes(artifact: "Artifact") -> int | None:
    """See `peak_bytes`; None where a tensor has a type without a fixed size."""
    sizes = {
        str(index): tensor.elements * SIZES[tensor.dtype] if tensor.dtype in SIZES else None
        for index, tensor in enumerate(artifact.tensors)
        if not tensor.length
    }
    steps = [(map(str, one.inputs), map(str, one.outputs)) for one in artifact.operators]
    return peak_bytes(steps, sizes, map(str, artifact.inputs), map(str, artifact.outputs))
