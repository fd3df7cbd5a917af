"""Stored samples as a sensor, over and over."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge.errors import UsageError
from edge.faults import x_fault, y_fault
from edge.marks import Marks
from edge.stream import Sample

__all__ = ["Replay"]


class Replay:
    """Stored samples, over and over.

    Args:
        x: [n, n_in] inputs, or [n, ...] such as images, which are flattened; float32 afterwards.
        y: [n] class indices, or [n, n_out] values.

    Raises:
        UsageError: the shapes do not agree, or there is no sample.

    >>> source = Replay([[1.0, 2.0], [3.0, 4.0]], [0, 1])
    >>> [source.next_sample()[1].item() for _ in range(3)]
    [0.0, 1.0, 0.0]
    """

    def __init__(self, x: ArrayLike, y: ArrayLike) -> None:
        """Take the samples and start at the first."""
        with np.errstate(over="ignore"):
            inputs, targets = np.asarray(x, np.float32), np.asarray(y, np.float32)
        same = inputs.ndim > 1 and targets.ndim > 0 and len(inputs) == len(targets)
        if not same or not inputs.size or not targets.size:
            raise UsageError(
                f"samples need x of shape [n, n_in] and y of [n] or [n, n_out], "
                f"these are {inputs.shape} and {targets.shape}."
            )
        self.x: NDArray[np.float32] = inputs.reshape(len(inputs), -1)
        self.y: NDArray[np.float32] = targets.reshape(len(targets), -1)
        self._marks = Marks()

    @property
    def sample_width(self) -> int:
        """How many inputs a sample has."""
        return self.x.shape[1]

    @property
    def sample_name(self) -> str:
        """Which sample was given last, counted from 1."""
        return f"sample {(self._marks.at - 1) % len(self.x) + 1}"

    def next_sample(self) -> Sample:
        """The next sample; after the last the first again."""
        at = self._marks.take() % len(self.x)
        return self.x[at], self.y[at]

    def begin_pass(self) -> None:
        """Begin a pass behind all that was given; see `PassSensor`."""
        self._marks.begin_pass()

    def rewind(self) -> None:
        """Go back to the first sample of the pass."""
        self._marks.rewind()

    def fault(self) -> tuple[int, str] | None:
        """The index of the first sample that no model can learn, and what is wrong with it."""
        if not x_fault(self.x.reshape(-1)) and not y_fault(self.y.reshape(-1)):
            return None
        for index, (x, y) in enumerate(zip(self.x, self.y, strict=True)):
            if wrong := x_fault(x) or y_fault(y):
                return index, wrong
        return None
