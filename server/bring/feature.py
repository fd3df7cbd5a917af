"""Find the tensor of a foreign `.tflite` behind which a new tail can go."""

from dataclasses import dataclass, replace

from edge.artifact import Artifact
from edge.chain import UnsupportedOperator
from edge.errors import UsageError
from edge.tflite import OperatorInfo

__all__ = ["Feature", "feature_of", "named_feature"]

_AFTER = ("SOFTMAX", "LOGISTIC", "LOG_SOFTMAX", "QUANTIZE", "DEQUANTIZE", "RESHAPE", "SQUEEZE")
"""Operators that may follow a classifier's last weights."""
_LAST = ("FULLY_CONNECTED", "CONV_2D")
_TYPES = ("float32", "int8", "uint8")
_REMEDY = "--layer with the name or number of the tensor to learn from"


@dataclass(frozen=True)
class Feature:
    """A tensor inside a graph.

    Args:
        tensor: its index.
        operators: indices of the operators that make it, in order.
        name: as in the file.
        shape: sizes, in elements; the first is 1.
        dtype: float32, int8 or uint8.
        replaced: the layer that the new tail stands for, such as FULLY_CONNECTED.
        mean: whether that layer looked at every place of an image by itself.
        last: index of that layer's operator; -1 where the tensor was named.
    """

    tensor: int
    operators: tuple[int, ...]
    name: str
    shape: tuple[int, ...]
    dtype: str
    replaced: str = ""
    mean: bool = False
    last: int = -1


def feature_of(artifact: Artifact) -> Feature:
    """The input of the last layer with weights, looking past what only changes its answer's form.

    Raises:
        UnsupportedOperator: the file ends in another kind of layer, or there is none before it.
    """
    if len(artifact.outputs) != 1:
        raise UnsupportedOperator(f"the graph has {len(artifact.outputs)} outputs.", hint=_REMEDY)
    makers = {out: op for op in artifact.operators for out in op.outputs}
    last = _maker(makers, artifact.outputs[0])
    while last.name in _AFTER:
        last = _maker(makers, last.inputs[0])
    if last.name not in _LAST:
        raise UnsupportedOperator(
            f"the last layer is {last.name}, a {' or '.join(_LAST)} is replaced.", hint=_REMEDY
        )
    out = artifact.tensors[last.outputs[0]].shape
    spatial = last.name == "CONV_2D" and len(out) == 4 and out[1] * out[2] > 1
    found = _feature(artifact, last.inputs[0], last.name, mean=spatial)
    return replace(found, last=artifact.operators.index(last))


def named_feature(artifact: Artifact, which: str) -> Feature:
    """A tensor by its name or its number.

    Raises:
        UsageError: there is no such tensor, or two have the name.
        UnsupportedOperator: no tail can go behind it.
    """
    made = {out for op in artifact.operators for out in op.outputs}
    found = [i for i in sorted(made) if which in (artifact.tensors[i].name, str(i))]
    if len(found) != 1:
        few = ", ".join(f"{i} {artifact.tensors[i].name[-40:]}" for i in sorted(made)[-4:])
        raise UsageError(
            f"{len(found)} tensors of the file are called {which!r}.", hint=f"such as {few}"
        )
    return _feature(artifact, found[0], "", mean=False)


def _maker(makers: dict[int, OperatorInfo], tensor: int) -> OperatorInfo:
    found = makers.pop(tensor, None)  # each once: a broken file may go in circles
    if found is None or not found.inputs:
        raise UnsupportedOperator("there is no layer with weights at the end.", hint=_REMEDY)
    return found


def _feature(artifact: Artifact, index: int, replaced: str, *, mean: bool) -> Feature:
    if index < 0 or artifact.tensors[index].length:
        raise UnsupportedOperator("the last layer takes no tensor that is computed.", hint=_REMEDY)
    tensor = artifact.tensors[index]
    name = f"tensor {index} ({tensor.name[:60]})"
    needed = _needed(artifact, index)
    if not needed:
        raise UnsupportedOperator(f"{name} is the input: there is no layer before it to keep.")
    if tensor.dtype not in _TYPES or (tensor.dtype != "float32" and len(tensor.scales) != 1):
        raise UnsupportedOperator(f"{name} is {tensor.dtype}, {', '.join(_TYPES)} can be read.")
    if len(tensor.shape) < 2 or tensor.shape[0] != 1 or not tensor.elements:
        raise UnsupportedOperator(f"{name} has shape {tensor.shape}, (1, ...) is needed.")
    return Feature(index, needed, tensor.name, tensor.shape, tensor.dtype, replaced, mean)


def _needed(artifact: Artifact, tensor: int) -> tuple[int, ...]:
    """The operators that a tensor depends on, in the order of the file."""
    wanted, found = {tensor}, []
    for index, operator in reversed(list(enumerate(artifact.operators))):
        if wanted & set(operator.outputs):
            wanted |= set(operator.inputs)
            found.append(index)
    return tuple(reversed(found))
