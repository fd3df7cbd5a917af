"""See a graph as a chain of dense layers, which is what the learner knows."""

from dataclasses import dataclass

from edge.errors import ArtifactError
from edge.spec import Activation
from edge.tflite import Graph, OperatorInfo

__all__ = ["Dense", "UnsupportedOperator", "chain"]

VERSIONS = {"FULLY_CONNECTED": 9, "RELU": 3, "TANH": 3, "SOFTMAX": 3, "RESHAPE": 1}
FUSED: dict[int, Activation] = {0: "linear", 1: "relu"}
SEPARATE: dict[str, Activation] = {"RELU": "relu", "TANH": "tanh", "SOFTMAX": "softmax"}


class UnsupportedOperator(ArtifactError):
    """The file holds an operator, version or form that the learner does not know."""


@dataclass
class Dense:
    """One dense layer of a graph: indices of its tensors.

    Args:
        n_in: width of the input.
        n_out: width of the output.
        weights: constant [n_out][n_in].
        bias: constant [n_out], or None.
        source: the input.
        sum: the output of the dense operator.
        result: the output of its activation; `sum` where that is fused.
        activation: what follows the sum.
    """

    n_in: int
    n_out: int
    weights: int
    bias: int | None
    source: int
    sum: int
    result: int
    activation: Activation


def chain(graph: Graph) -> list[Dense]:
    """The layers of a graph from input to output.

    Raises:
        UnsupportedOperator: it is not a chain of supported operators.
    """
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise UnsupportedOperator("the graph has more than one input or output.")
    parts: list[Dense] = []
    current = graph.inputs[0]
    for operator in graph.operators:
        _check(operator, current)
        output = operator.outputs[0]
        if operator.name == "FULLY_CONNECTED":
            parts.append(_dense(graph, operator))
        elif operator.name != "RESHAPE":
            _activate(parts, operator)
        if operator.name == "RESHAPE" and (
            graph.tensors[current].elements != graph.tensors[output].elements
        ):
            raise UnsupportedOperator("RESHAPE changes how many values there are.")
        current = output
    if not parts or current != graph.outputs[0]:
        raise UnsupportedOperator("the graph does not end in a dense layer.")
    return parts


def _check(operator: OperatorInfo, current: int) -> None:
    known = VERSIONS.get(operator.name, 0)
    if not 1 <= operator.version <= known:
        raise UnsupportedOperator(
            f"{operator.name} version {operator.version} is not supported.",
            hint=f"a model of {', '.join(VERSIONS)}",
        )
    if not operator.inputs or operator.inputs[0] != current or len(operator.outputs) != 1:
        raise UnsupportedOperator(f"{operator.name} does not follow the operator before it.")
    if operator.outputs[0] < 0:
        raise UnsupportedOperator(f"{operator.name} has no output.")


def _dense(graph: Graph, operator: OperatorInfo) -> Dense:
    inputs = operator.inputs
    fused = operator.options.integer(0, "b") if operator.options else 0
    shuffled = operator.options.integer(1, "b") if operator.options else 0
    if len(inputs) not in (2, 3) or inputs[1] < 0 or fused not in FUSED or shuffled:
        raise UnsupportedOperator(
            "FULLY_CONNECTED has an activation or form that is not supported."
        )
    weights, out = graph.tensors[inputs[1]], graph.tensors[operator.outputs[0]]
    bias = inputs[2] if len(inputs) == 3 and inputs[2] >= 0 else None
    n_in = graph.tensors[inputs[0]].elements
    if weights.shape != (out.elements, n_in):
        raise UnsupportedOperator(f"weights of shape {weights.shape} do not fit {n_in} inputs.")
    graph.constant(inputs[1])
    if bias is not None and graph.constant(bias).size != out.elements:
        raise UnsupportedOperator(f"a bias does not fit {out.elements} outputs.")
    output = operator.outputs[0]
    return Dense(n_in, out.elements, inputs[1], bias, inputs[0], output, output, FUSED[fused])


def _activate(parts: list[Dense], operator: OperatorInfo) -> None:
    if not parts or parts[-1].activation != "linear":
        raise UnsupportedOperator(f"{operator.name} does not follow a linear dense layer.")
    parts[-1].activation = SEPARATE[operator.name]
    parts[-1].result = operator.outputs[0]
