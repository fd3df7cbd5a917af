"""Find the tensor of a foreign `.onnx` behind which a new tail can go."""

from dataclasses import replace
from typing import Any

from edge.chain import UnsupportedOperator
from edge.errors import UsageError
from server.bring.feature import Feature
from server.onnx_model import names_read

__all__ = ["onnx_feature"]

_AFTER = (
    "Softmax", "LogSoftmax", "Sigmoid", "QuantizeLinear", "DequantizeLinear", "Reshape", "Flatten",
    "Squeeze", "Identity", "Cast",
)  # fmt: skip
"""Operators that may follow a classifier's last weights."""
_LAST = ("Gemm", "MatMul", "Conv")
_REMEDY = "--layer with the name of the float32 tensor to learn from"


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
        last = _maker(makers, next((n for n in last.input if n not in constants), ""))
    if last.op_type not in _LAST:
        raise UnsupportedOperator(
            f"the last layer is {last.op_type}, one of {', '.join(_LAST)} is replaced.",
            hint=_REMEDY,
        )
    out = _stated(model, last.output[0])[0]
    places = last.op_type == "Conv" and len(out) == 4 and out[2] * out[3] > 1
    found = _feature(model, last.input[0], last.op_type, mean=places)
    return replace(found, last=[list(node.output) for node in graph.node].index(list(last.output)))


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
    if len(shape) < 2 or shape[0] not in (0, 1) or not all(size > 0 for size in shape[1:]):
        raise UnsupportedOperator(
            f"{name} has shape {shape}; one row a sample is needed, of known sizes.",
            hint="a file exported with fixed sizes, or --layer",
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
            wanted |= set(names_read(node))
            found.append(index)
    return tuple(reversed(found))
