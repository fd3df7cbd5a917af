"""Samples of a stream given again: those of the latest pass, for its second epoch."""

from collections import deque
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["Again"]

Sample = tuple[NDArray[np.float32], NDArray[np.float32]]


class Again:
    """Keeps what a stream gave since it was last rewound.

    A stream has no first sample to go back to: its pass is what came new since the pass before.

    Args:
        keep: how many of a pass's last samples.
    """

    def __init__(self, keep: int) -> None:
        self._new: deque[Sample] = deque(maxlen=keep)
        self._pass: list[Sample] = []
        self._left: Iterator[Sample] = iter(())

    def next(self) -> Sample | None:
        """The next kept sample after `rewind`; None where a new one is due."""
        return next(self._left, None)

    def add(self, sample: Sample) -> None:
        """Note that a new sample was given."""
        self._new.append(sample)

    def rewind(self) -> None:
        """Give the pass again: what is new since the last time, or else the same once more."""
        if self._new:
            self._pass = list(self._new)
            self._new.clear()
        self._left = iter(self._pass)
