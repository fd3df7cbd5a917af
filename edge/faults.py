"""What is wrong with a sample, and how it is told: a few lines a minute, never for ever."""

import logging
import time
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edge.errors import TinyfleetError

__all__ = ["IN_A_ROW", "LARGEST", "Faults", "SourceError", "x_fault", "y_fault"]

_log = logging.getLogger("tinyfleet.samples")

IN_A_ROW = 10
"""So many samples in a row that cannot be used are refused."""
LARGEST = np.float32(1e18)
"""The largest number of a sample, as in the running standardiser: its square is still finite."""
_TOLD, _PER = 10, 60.0
_REMEMBERED = 64


class SourceError(TinyfleetError):
    """A sample that came is not one."""


class Faults:
    """Samples that are passed over: each is told once, at most ten a minute.

    Args:
        clock: gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Know of none."""
        self._clock = clock
        self._row, self._told, self._untold = 0, 0, 0
        self._since = -_PER
        self._known: deque[str] = deque(maxlen=_REMEMBERED)

    def good(self) -> None:
        """A sample was good: the row ends."""
        self._row = 0

    def add(self, fault: str, hint: str = "") -> None:
        """Pass a sample over.

        Args:
            fault: which one, and what is wrong with it, in a sentence.
            hint: what a good one looks like.

        Raises:
            SourceError: it is the last of `IN_A_ROW`; the next row starts anew.
        """
        self._row += 1
        if self._row >= IN_A_ROW:
            self._row = 0
            row = f"{IN_A_ROW} samples in a row cannot be used"
            raise SourceError(f"{row}, the last one: {fault}", hint=hint)
        self.tell(f"passed over {fault}")

    def tell(self, text: str) -> None:
        """Warn of something, unless it was told lately or enough was."""
        if text in self._known:
            return
        now = self._clock()
        if now - self._since >= _PER:
            self._since, self._told = now, 0
        if self._told == _TOLD:
            self._untold += 1
            return
        self._told += 1
        self._known.append(text)
        more = f" ({self._untold} more were not told)" if self._untold else ""
        self._untold = 0
        _log.warning("%s%s", text, more)


def x_fault(x: NDArray[np.float32]) -> str:
    """What is wrong with the numbers of an input, in a sentence; empty: nothing."""
    return "" if np.abs(x).max(initial=0) <= LARGEST else _beyond("x", x)


def y_fault(y: NDArray[np.float32]) -> str:
    """What is wrong with the numbers of a target, in a sentence; empty: nothing.

    All may be NaN: then nobody knows it.
    """
    if np.abs(y).max(initial=0) <= LARGEST:
        return ""
    unknown = np.isnan(y)
    if unknown.all():
        return ""
    if unknown.any():
        return "some values of y are unknown and others are not."
    return _beyond("y", y)


def _beyond(name: str, values: NDArray[np.float32]) -> str:
    wrong = int(np.flatnonzero(~(np.abs(values) <= LARGEST))[0])
    value = f"{name}[{wrong}] is {values[wrong]:g}"
    return f"{value}, numbers from {-LARGEST:g} to {LARGEST:g} can be used."
