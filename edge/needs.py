"""What a learner takes of a sample, and how its target is read."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.faults import x_fault, y_fault
from edge.stream import Sample

__all__ = ["INDICES", "Needs", "from_one_hot"]

Float32 = NDArray[np.float32]
INDICES = "class indices; np.argmax(y, 1)"
"""What to try where targets of a classifier are neither class indices nor one-hot."""


@dataclass(frozen=True)
class Needs:
    """What a learner takes.

    Args:
        n_in: values of an input.
        n_out: values of an output.
        classes: whether a target is a class index, from 0 to below `n_out`; one-hot becomes one.
        targets: whether it needs any; an autoencoder does not.
    """

    n_in: int
    n_out: int
    classes: bool
    targets: bool = True

    def fault(self, x: Float32, y: Float32) -> str:
        """What is wrong with a sample, in a sentence; empty: nothing.

        Args:
            x: float32 [n], the input.
            y: float32 [m], the target; all NaN: unknown.
        """
        if x.size != self.n_in:
            return f"it has {x.size} inputs, the model takes {self.n_in}."
        return x_fault(x) or (self._target_fault(y) if self.targets else "")

    def indexed(self, x: Float32, y: Float32) -> Sample:
        """A sample with the index of its class where its target is one-hot; else as it is."""
        if self.classes and self.targets and y.size == self.n_out > 1:
            index = from_one_hot(y[None])
            return (x, y) if index is None else (x, index[0])
        return x, y

    def hint(self, y: Float32) -> str:
        """What to try where a target is at fault; empty: who knows."""
        return INDICES if self.classes and self.targets and y.size > 1 else ""

    def _target_fault(self, y: Float32) -> str:
        if not y.size:
            return "it has no target; NaN says that it is unknown."
        wrong = y_fault(y)
        if wrong or np.isnan(y[0]):
            return wrong
        if y.size != (1 if self.classes else self.n_out):
            hot = f"the index of a class, or {self.n_out} of which one is 1 and the others are 0"
            needed = hot if self.classes else str(self.n_out)
            return f"it has {y.size} targets, the model takes {needed}."
        if self.classes and not (0 <= y[0] < self.n_out and y[0] == np.floor(y[0])):
            return f"its class is {y[0]:g}, those of the model are 0 to {self.n_out - 1}."
        return ""


def from_one_hot(y: Float32) -> Float32 | None:
    """Class indices of one-hot rows: one value is 1, all others are 0.

    Args:
        y: float32 [n, classes].

    Returns:
        float32 [n, 1]; None: not all rows are one-hot.

    >>> from_one_hot(np.eye(3, dtype=np.float32)[[2, 0]]).tolist()
    [[2.0], [0.0]]
    """
    hot = y == 1
    if not (hot | (y == 0)).all() or not (hot.sum(axis=1) == 1).all():
        return None
    return np.asarray(hot.argmax(axis=1)[:, None], np.float32)
