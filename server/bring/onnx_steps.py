"""The nodes of an `.onnx` as a chain: one tensor that is computed at a time, all else constant."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.chain import UnsupportedOperator
from edge.layer_limits import MAX_ELEMENTS
from server.bring.feeding import onnx_input
from server.onnx_model import opset_of

__all__ = ["Step", "refusal", "steps_of"]

_FOLDED = {
    "Add", "Cast", "Concat", "Constant", "ConstantOfShape", "Div", "Gather", "Identity", "Mul",
    "Reshape", "Shape", "Slice", "Squeeze", "Sub", "Transpose", "Unsqueeze",
}  # fmt: skip
"""What exporters compute sizes and constants with; it is evaluated here."""
_HYBRID = "--classes N, or --outputs N: a hybrid keeps it, for Linux hosts with a runtime"


@dataclass(frozen=True)
class Step:
    """One node of a chain.

    Args:
        kind: its operator, such as Conv; with its domain where that is not ONNX's own.
        name: of the node, or of what it makes.
        at: which of its inputs is the tensor that is computed.
        inputs: values of the others; None: that tensor, or left out.
        options: attributes.
        opset: version of the operators.
    """

    kind: str
    name: str
    at: int
    inputs: tuple[NDArray[Any] | None, ...]
    opset: int
    options: dict[str, Any] = field(default_factory=dict)

    def constant(self, index: int) -> NDArray[Any] | None:
        """An input; None where it is left out or computed."""
        return self.inputs[index] if index < len(self.inputs) else None

    def axes(self, index: int, rank: int) -> tuple[int, ...] | None:
        """Axes as an input, or in an older opset as an attribute; counted from the front."""
        given = self.constant(index)
        found = self.options.get("axes") if given is None else given.ravel().tolist()
        return None if found is None else tuple(sorted(int(axis) % rank for axis in found))


def refusal(step: Step, why: str) -> UnsupportedOperator:
    """The error that names an operator and says why it cannot be part of a chain."""
    return UnsupportedOperator(f"{step.kind} {step.name[:60]!r}: {why}", hint=_HYBRID)


def steps_of(model: Any) -> tuple[tuple[int, ...], list[Step]]:
    """The chain from the one input to the one output.

    Args:
        model: as `server.onnx_model.loaded` gives it; its batch is fixed to 1 in place.

    Returns:
        Sizes of a sample, without the batch; and the nodes in order.

    Raises:
        UnsupportedOperator: it is no chain, its operators are too old, or no device can feed it.
    """
    import onnx

    opset = opset_of(model)
    taken = onnx_input(model.graph)
    if taken.type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        raise UnsupportedOperator(f"the input {taken.name[:60]!r} is not float32.")
    if len(model.graph.output) != 1:
        raise UnsupportedOperator(f"the graph has {len(model.graph.output)} outputs, one is known.")
    taken.type.tensor_type.shape.dim[0].dim_value = 1
    del model.graph.value_info[:]
    model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    constants, left = _folded(model, opset)
    sizes = tuple(int(dim.dim_value) for dim in taken.type.tensor_type.shape.dim[1:])
    end = model.graph.output[0].name
    return sizes, list(_walk(taken.name, end, left, constants, opset))


def _walk(
    current: str, end: str, nodes: list[Any], constants: dict[str, NDArray[Any]], opset: int
) -> Iterator[Step]:
    read = {name for node in nodes for name in node.input} | {end}
    while current != end:
        found = [node for node in nodes if current in node.input]
        if not found:
            raise UnsupportedOperator("the graph does not lead from its input to its output.")
        node = found[0]
        kind = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
        step = Step(
            kind, node.name or node.output[0], list(node.input).index(current),
            tuple(constants.get(name) for name in node.input), opset, _options(node),
        )  # fmt: skip
        if len(found) > 1:
            readers = ", ".join(node.op_type for node in found[:4])
            raise refusal(step, f"its input is read by {len(found)} operators ({readers}); in a "
                                "chain each follows the one before it.")  # fmt: skip
        for index, name in enumerate(node.input):
            if index != step.at and name and name not in constants:
                raise refusal(step, "it takes two tensors that are computed, a chain has one.")
        if any(name in read for name in node.output[1:]):
            raise refusal(step, "more than its first output is used.")
        yield step
        nodes = [other for other in nodes if other is not node]  # a broken file may go in circles
        current = node.output[0]


def _options(node: Any) -> dict[str, Any]:
    from onnx import helper

    return {one.name: helper.get_attribute_value(one) for one in node.attribute}


def _folded(model: Any, opset: int) -> tuple[dict[str, NDArray[Any]], list[Any]]:
    """All constants, those that nodes make of constants and sizes too; and the other nodes."""
    from onnx import numpy_helper

    known = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    shapes = {
        one.name: [dim.dim_value for dim in one.type.tensor_type.shape.dim]
        for one in (*model.graph.input, *model.graph.value_info, *model.graph.output)
        if one.type.tensor_type.HasField("shape")
    }
    left = []
    for node in model.graph.node:
        ours = node.domain in ("", "ai.onnx") and node.op_type in _FOLDED
        if ours and node.op_type == "Shape" and min(shapes.get(node.input[0], [0]), default=1) > 0:
            given = {node.input[0]: np.zeros(shapes[node.input[0]], np.float32)}
        elif ours and node.op_type != "Shape" and all(n in known for n in node.input if n):
            given = {name: known[name] for name in node.input if name}
            if node.op_type == "ConstantOfShape":
                _check_small(node, given)
        else:
            left.append(node)
            continue
        known[node.output[0]] = _evaluated(node, given, opset)
    return known, left


def _check_small(node: Any, given: dict[str, NDArray[Any]]) -> None:
    """A few bytes can ask for any amount of memory."""
    sizes = [int(size) for shape in given.values() for size in shape.ravel()]
    if prod(sizes) > MAX_ELEMENTS:
        raise UnsupportedOperator(f"{node.op_type} makes {sizes} values, {MAX_ELEMENTS} are most.")


def _evaluated(node: Any, given: dict[str, NDArray[Any]], opset: int) -> NDArray[Any]:
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    inputs = [
        helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in given
    ]  # fmt: skip
    out = helper.make_tensor_value_info(node.output[0], TensorProto.UNDEFINED, None)
    graph = helper.make_graph([node], "constant", inputs, [out])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    return np.asarray(ReferenceEvaluator(made).run(None, given)[0])
