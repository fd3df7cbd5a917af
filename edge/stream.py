"""Samples as they come: those of the latest pass can be given again, for its second epoch."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["Sample", "Stream"]

Sample = tuple[NDArray[np.float32], NDArray[np.float32]]


class Stream(ABC):
    """A sensor that has no first sample to go back to.

    A pass is what came new since `begin_pass`, or else since the pass before.

    Args:
        keep: how many of a pass's last samples `rewind` can give again.
    """

    def __init__(self, keep: int = 1024) -> None:
        self._new: deque[Sample] = deque(maxlen=keep)
        self._pass: list[Sample] = []
        self._left: Iterator[Sample] = iter(())

    @property
    def sample_width(self) -> int | None:
        """How many inputs the next sample has; None: who knows."""
        return None

    @property
    @abstractmethod
    def sample_name(self) -> str:
        """Which the latest new sample is, such as "line 7"."""

    @abstractmethod
    def new_sample(self) -> Sample:
        """Wait for a sample; see `Sensor.next_sample`."""

    def next_sample(self) -> Sample:
        """A kept sample after `rewind`, else a new one.

        Raises:
            SourceError: so many in a row are not samples; a few are told and passed over.
            StopIteration: there are no more.
        """
        kept = next(self._left, None)
        if kept is not None:
            return kept
        sample = self.new_sample()
        self._new.append(sample)
        return sample

    def begin_pass(self) -> None:
        """A pass begins that shares nothing with those before."""
        self._new.clear()
        self._pass, self._left = [], iter(())

    def forget(self) -> None:
        """Never give the latest new sample again: it is of no use."""
        if self._new:
            self._new.pop()

    def rewind(self) -> None:
        """Give the pass again: what is new since the last time, or else the same once more."""
        if self._new:
            self._pass = list(self._new)
            self._new.clear()
        self._left = iter(self._pass)
