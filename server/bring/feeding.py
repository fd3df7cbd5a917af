"""What a device feeds to a model: one tensor of a known size and type, a sample at a time."""

from collections.abc import Sequence
from typing import Any

from edge.artifact import Artifact
from edge.chain import UnsupportedOperator

__all__ = ["check_input", "onnx_input"]

_TYPES = ("float32", "int8", "uint8")


def check_input(artifact: Artifact) -> None:
    """See that a device can feed a `.tflite`.

    Raises:
        UnsupportedOperator: it has not one input, or one of another type.
    """
    tensors = [artifact.tensors[index] for index in artifact.inputs]
    _check_one([tensor.name for tensor in tensors])
    _check_type(tensors[0].name, tensors[0].dtype)
    if tensors[0].dtype != "float32" and len(tensors[0].scales) != 1:
        raise UnsupportedOperator(
            f"the input {tensors[0].name[:60]!r} is {tensors[0].dtype} with "
            f"{len(tensors[0].scales)} scales, one is needed."
        )


def onnx_input(graph: Any) -> Any:
    """The one input of an `.onnx` graph that is no constant, for a device to feed.

    Raises:
        UnsupportedOperator: there is not one; or it has another type, a batch that is fixed to more
            than one sample, or sizes that are not known.
    """
    import onnx

    constants = {one.name for one in graph.initializer}
    found = [one for one in graph.input if one.name not in constants]
    _check_one([one.name for one in found])
    name, kind = found[0].name, found[0].type.tensor_type
    known = kind.elem_type in onnx.TensorProto.DataType.values() and kind.elem_type
    dtype = str(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)) if known else "no tensor"
    _check_type(name, dtype)
    batch, *sizes = [int(dim.dim_value) for dim in kind.shape.dim] or [0]
    if batch not in (0, 1):
        raise UnsupportedOperator(
            f"the batch of input {name[:60]!r} is fixed to {batch}, devices ask for one sample.",
            hint="a file exported with a batch of 1, or one that is not fixed",
        )
    if not sizes or min(sizes) < 1:
        shown = ", ".join(str(size) if size > 0 else "?" for size in sizes)
        raise UnsupportedOperator(
            f"a sample of input {name[:60]!r} has sizes ({shown}), all must be known.",
            hint="a file exported with fixed sizes after the batch",
        )
    return found[0]


def _check_one(names: Sequence[str]) -> None:
    if len(names) != 1:
        shown = ", ".join(name[:40] for name in names[:4]) or "none"
        raise UnsupportedOperator(
            f"the model has {len(names)} inputs ({shown}), a device feeds one.",
            hint="a model with one input",
        )


def _check_type(name: str, dtype: str) -> None:
    if dtype not in _TYPES:
        raise UnsupportedOperator(
            f"the input {name[:60]!r} is {dtype}, devices feed {', '.join(_TYPES)}."
        )
