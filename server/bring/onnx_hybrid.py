"""A foreign `.onnx` with a tail of ours: its nodes stay as they are, but for the last."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.chain import UnsupportedOperator
from edge.errors import ArtifactError, TinyfleetError
from edge.layers import LayerSpec, PoolSpec
from edge.onnx_file import FEATURES, TAIL
from edge.spec import ModelSpec
from server.bring.feature import Feature
from server.bring.feeding import onnx_input
from server.bring.kept import begun, check_end
from server.bring.onnx_feature import onnx_feature
from server.bring.onnx_kept import onnx_replaced_layer
from server.bring.tail import Tail, tail_spec
from server.export import tflite
from server.onnx_model import loaded, names_read, opset_of

__all__ = ["onnx_hybrid"]


def onnx_hybrid(
    data: bytes, tail: Tail, *, layer: str | None = None, name: str = "hybrid"
) -> tuple[bytes, Feature, ModelSpec]:
    """Replace what lies behind a tensor of an `.onnx`.

    Args:
        data: the foreign file.
        tail: what takes its place.
        layer: the tensor, by name; None: the input of the last layer with weights.
        name: what the new file calls itself.

    Returns:
        The file, the tensor, and the tail's layers: dense ones, on features that are flat.

    Raises:
        MissingExtra: onnx is not installed.
        ArtifactError: the file is broken, or no tail can go there.
        UsageError: no such tensor, a tail that is none, or weights that cannot be kept.
    """
    model = loaded(data)
    try:
        return _made(model, tail, layer, name)
    except TinyfleetError:
        raise
    except Exception as error:  # what onnx and protobuf raise for names and values that are broken
        raise ArtifactError(f"onnx refuses the file: {str(error)[:200]}") from error


def _made(
    model: Any, tail: Tail, layer: str | None, name: str
) -> tuple[bytes, Feature, ModelSpec]:  # fmt: skip
    import onnx

    opset_of(model)
    if any(one.name == TAIL for one in model.graph.initializer):
        raise UnsupportedOperator("the file has a tail of ours already.", hint="the original")
    taken = onnx_input(model.graph)
    feature = onnx_feature(model, layer)
    whole = tail_spec(feature.shape, tail, mean=feature.mean)
    spec = ModelSpec.of([one for one in whole.layers if isinstance(one, LayerSpec)])
    averaged = any(isinstance(one, PoolSpec) for one in whole.layers)
    model.graph.name = model.doc_string = name
    kept = None
    if tail.keep:
        kept = onnx_replaced_layer(model.graph, feature)
        check_end(tail, feature, (one.op_type for one in model.graph.node[feature.last + 1 :]))
    _rebuild(model, taken, feature, spec, averaged, begun(spec, tail, feature, kept))
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True)), feature, spec


def _rebuild(
    model: Any,
    taken: Any,
    feature: Feature,
    spec: ModelSpec,
    averaged: bool,
    parameters: NDArray[np.float32],
) -> None:
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    kept = [graph.node[index] for index in feature.operators]
    nodes = _joined(feature, averaged)
    constants, current = [], FEATURES
    for index, (layer, parts) in enumerate(zip(spec.layers, spec.split(parameters), strict=True)):
        names = [f"{TAIL}/{index}/{kind}" for kind in ("weights", "bias")]
        constants += [
            numpy_helper.from_array(np.ascontiguousarray(part), named)
            for part, named in zip(parts, names, strict=True)
        ]
        out = f"{TAIL}/{index}/sum"
        nodes.append(_node("Gemm", [current, *names], out, transB=1))
        current = out
        if layer.activation in ("relu", "softmax"):
            kind = {"relu": "Relu", "softmax": "Softmax"}[layer.activation]
            options = {"axis": 1} if kind == "Softmax" else {}
            current = f"{TAIL}/{index}/{layer.activation}"
            nodes.append(_node(kind, [out], current, **options))
    template = np.frombuffer(tflite.write(spec, parameters, name="tail"), np.uint8)
    constants.append(numpy_helper.from_array(template, TAIL))
    read = {taken.name, *(name for node in kept for name in names_read(node))}
    if not all(isinstance(name, str) for name in read):  # protobuf gives bytes where it is no text
        raise ArtifactError("the name of a tensor is no UTF-8 text.")
    old = [one for one in graph.initializer if one.name in read]
    inputs = [one for one in graph.input if one.name in read]
    batch = int(taken.type.tensor_type.shape.dim[0].dim_value) or "batch"
    value = helper.make_tensor_value_info
    made = helper.make_graph(
        [*kept, *nodes],
        graph.name,
        inputs,
        [value(current, TensorProto.FLOAT, [batch, spec.n_out])],
        [*old, *constants],
        value_info=[value(FEATURES, TensorProto.FLOAT, [batch, spec.n_in])],
    )
    model.graph.CopyFrom(made)


def _joined(feature: Feature, averaged: bool) -> list[Any]:
    """Nodes between the foreign tensor and the flat features; they are part of the front."""
    if averaged:
        mean = f"{FEATURES}/mean"
        first = _node("GlobalAveragePool", [feature.name], mean)
        return [first, _node("Flatten", [mean], FEATURES, axis=1)]
    return [_node("Flatten", [feature.name], FEATURES, axis=1)]


def _node(operator: str, inputs: list[str], out: str, **options: Any) -> Any:
    from onnx import helper

    return helper.make_node(operator, inputs, [out], name=out, **options)
