"""Nodes that change the form of a tensor alone: its values stay, and where they lie is known."""

from math import prod

import numpy as np
from numpy.typing import NDArray

from server.bring.onnx_steps import Step, refusal

__all__ = ["VIEWS", "viewed"]

VIEWS = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose")


def viewed(step: Step, order: NDArray[np.int64]) -> NDArray[np.int64]:
    """The tensor of one sample, seen in another form.

    Args:
        step: one of `VIEWS`.
        order: any values, in the shape of a sample.

    Raises:
        UnsupportedOperator: the batch would not come first, or the form is not constant.
    """
    whole = order[None]
    if step.kind == "Transpose":
        seen = whole.transpose(step.options.get("perm", range(whole.ndim)[::-1]))
    else:
        try:
            seen = whole.reshape(_new_shape(step, whole.shape))
        except ValueError as error:
            raise refusal(step, f"{error}.") from None
    if seen.ndim < 2 or len(seen) != 1:
        raise refusal(step, f"it makes {seen.shape} of one sample, the batch comes first.")
    return np.asarray(seen[0])


def _new_shape(step: Step, shape: tuple[int, ...]) -> tuple[int, ...]:
    """What Reshape, Flatten, Squeeze and Unsqueeze make of a shape."""
    if step.kind == "Flatten":
        axis = step.options.get("axis", 1)
        return (prod(shape[:axis]), prod(shape[axis:]))
    if step.kind == "Reshape":
        wanted = step.constant(1)
        if wanted is None:
            raise refusal(step, "the new shape is not constant.")
        sizes = [int(size) for size in wanted.ravel()]
        if not step.options.get("allowzero", 0):
            sizes = [shape[at] if size == 0 else size for at, size in enumerate(sizes)]
        return tuple(sizes)
    squeezed = step.kind == "Squeeze"
    given = step.constant(1)
    count = len(step.options.get("axes", ())) if given is None else given.size
    axes = step.axes(1, len(shape) + (0 if squeezed else count))
    if squeezed:
        gone = axes or [at for at, size in enumerate(shape) if size == 1 and at]
        return tuple(size for at, size in enumerate(shape) if at not in gone)
    made = list(shape)
    for axis in axes or ():
        made.insert(axis, 1)
    return tuple(made)
