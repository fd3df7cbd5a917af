"""Find the tensor of a foreign `.onnx` behind which a new tail can go."""

from collections.abc import Iterator
from typing import Any

from edge.chain import UnsupportedOperator
from edge.errors import ArtifactError, MissingExtra, UsageError
from server.bring.feature import Feature

__all__ = ["loaded", "onnx_feature"]

_AFTER = (
    "Softmax", "LogSoftmax", "Sigmoid", "QuantizeLinear", "DequantizeLinear", "Reshape", "Flatten",
    "Squeeze", "Identity", "Cast",
)  # fmt: skip
"""Operators that may follow a classifier's last weights."""
_LAST = ("Gemm", "MatMul", "Conv")
_REMEDY = "--layer with the name of the float32 tensor to learn from"


def loaded(data: bytes) -> Any:
    """A checked ONNX model with the shapes that can be inferred.

    Raises:
        MissingExtra: onnx is not installed.
        ArtifactError: it is no ONNX model.
        UnsupportedOperator: its constants lie in another file.
    """
    try:
        import onnx
    except ImportError:
        raise MissingExtra(
            "changing an .onnx needs onnx, which is not installed.",
            hint="pip install 'tinyfleet[server]'",
        ) from None
    try:
        model = onnx.load_from_string(data)
        outside = [one.name for one in model.graph.initializer if one.data_location]
        if not outside:
            onnx.checker.check_model(model)
            return onnx.shape_inference.infer_shapes(model)
    except Exception as error:
        raise ArtifactError(f"this is no ONNX model: {str(error)[:200]}") from error
    raise UnsupportedOperator(
        f"constant {outside[0][:60]!r} lies in another file.", hint="one file with all constants"
    )


def onnx_feature(model: Any, layer: str | None) -> Feature:
    """The input of the last layer with weights, or a tensor by its name.

    Raises:
        UsageError: there is no such tensor.
        UnsupportedOperator: the graph ends in another kind of layer, or no tail can go there.
    """
    graph = model.graph
    makers = {name: node for node in graph.node for name in node.output}
    constants = {one.name for one in graph.initializer}
    constants |= {name for n in graph.node if n.op_type == "Constant" for name in n.output}
    if layer is not None:
        if layer not in makers:
            few = ", ".join(list(makers)[-4:])
            raise UsageError(f"no tensor is called {layer!r}.", hint=f"such as {few}")
        return _feature(model, layer, "", mean=False)
    if len(graph.output) != 1:
        raise UnsupportedOperator(f"the graph has {len(graph.output)} outputs.", hint=_REMEDY)
    last = _maker(makers, graph.output[0].name)
    while last.op_type in _AFTER or _adds_bias(last, constants):
        last = _maker(makers, next(n for n in last.input if n not in constants))
    if last.op_type not in _LAST:
        raise UnsupportedOperator(
            f"the last layer is {last.op_type}, one of {', '.join(_LAST)} is replaced.",
            hint=_REMEDY,
        )
    out = _stated(model, last.output[0])[0]
    places = last.op_type == "Conv" and len(out) == 4 and out[2] * out[3] > 1
    return _feature(model, last.input[0], last.op_type, mean=places)


def _adds_bias(node: Any, constants: set[str]) -> bool:
    return node.op_type == "Add" and sum(name in constants for name in node.input) == 1


def _maker(makers: dict[str, Any], tensor: str) -> Any:
    found = makers.pop(tensor, None)
    if found is None or not found.input:
        raise UnsupportedOperator("there is no layer with weights at the end.", hint=_REMEDY)
    return found


def _feature(model: Any, name: str, replaced: str, *, mean: bool) -> Feature:
    needed = _needed(model.graph, name)
    if not needed:
        raise UnsupportedOperator(f"{name} is the input: there is no layer before it to keep.")
    shape, dtype = _stated(model, name)
    if dtype != "float32":
        raise UnsupportedOperator(f"{name} is {dtype}, float32 can be read.", hint=_REMEDY)
    if len(shape) < 2 or not all(size > 0 for size in shape[1:]):
        raise UnsupportedOperator(
            f"{name} has shape {shape}, sizes after the batch must be known.",
            hint="a file exported with fixed sizes",
        )
    # Channels come first in an .onnx, and last in the rest of this package.
    rest = (*shape[2:], shape[1]) if len(shape) == 4 else shape[1:]
    return Feature(-1, needed, name, (1, *rest), dtype, replaced, mean)


def _stated(model: Any, name: str) -> tuple[tuple[int, ...], str]:
    """Shape and type of a tensor; a size that is not known is 0."""
    import onnx

    graph = model.graph
    for one in (*graph.value_info, *graph.input, *graph.output):
        if one.name == name and one.type.tensor_type.HasField("shape"):
            kind = one.type.tensor_type
            dtype = str(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
            return tuple(int(dim.dim_value) for dim in kind.shape.dim), dtype
    return (), "unknown"


def _needed(graph: Any, tensor: str) -> tuple[int, ...]:
    """The nodes that a tensor depends on, in the order of the file."""
    wanted, found = {tensor}, []
    for index, node in reversed(list(enumerate(graph.node))):
        if wanted & set(node.output):
            wanted |= set(_read(node))
            found.append(index)
    return tuple(reversed(found))


def _read(node: Any) -> Iterator[str]:
    """The tensors that a node reads, those of graphs inside it, too."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                yield from _read(inner)
