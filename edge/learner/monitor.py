"""Drift monitor: says when a stream of losses has risen; in C, or as its NumPy twin.

The test of Page and Hinkley: E. S. Page, "Continuous inspection schemes", Biometrika 41 (1954)
100-115; with a running mean, H. Mouss et al., "Test of Page-Hinckley, an approach for fault
detection in an agro-alimentary production system", Proc. 5th Asian Control Conference (2004)
815-818. Losses are counted in running standard deviations, so that no scale has to be known:
D. M. Hawkins, "Self-starting CUSUM charts for location and scale", The Statistician 36 (1987)
299-315. Memory is constant: 44 bytes in C.
"""

import ctypes
from ctypes import Structure, c_float, c_uint32
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from edge.errors import UsageError
from edge.learner.native import library
from edge.learner.reference_statistics import RunningStatistics
from edge.stepping import Watching

__all__ = ["DriftMonitor", "NativeMonitor", "ReferenceMonitor"]

F = np.float32
CUT, LIMIT = F(4), F(1e18)


class ReferenceMonitor:
    """The twin of `src/tl_monitor.c`, operation by operation in float32.

    >>> monitor = ReferenceMonitor(Watching(warm_up=4, threshold=5))
    >>> [monitor.update(loss) for loss in (1, 2, 1, 2, 1, 9, 9)]
    [False, False, False, False, False, False, True]
    """

    def __init__(self, options: Watching | None = None) -> None:
        """Start with no loss."""
        self.options = options or Watching()
        self._seen = RunningStatistics(1)
        self._excess, self._drift = F(0), False

    @property
    def drift(self) -> bool:
        """Whether the losses have drifted and are not back."""
        return self._drift

    @property
    def excess(self) -> float:
        """Summed rise, in standard deviations."""
        return float(self._excess)

    def score(self, loss: float) -> float:
        """Standard deviations above the mean so far; centred only where losses do not vary."""
        return float(self._seen.apply(np.array([loss], F))[0])

    def update(self, loss: float) -> bool:
        """Take one loss and give `drift` after it; one that is not finite is not counted."""
        value = F(loss)
        if not -LIMIT <= value <= LIMIT:
            return self._drift
        if self._seen.count >= self.options.warm_up:
            z = min(max(F(self.score(loss)), -CUT), CUT)
            self._excess = max((self._excess + z) - F(self.options.allowance), F(0))
        threshold = F(self.options.threshold)
        if self._drift:
            self._excess = min(self._excess, threshold)
            self._drift = bool(self._excess > 0)
            return self._drift
        self._drift = bool(self._excess > threshold)
        if not self._drift:
            self._seen.observe(np.array([value], F))
        return self._drift


class _CMonitor(Structure):
    """`tl_monitor`."""

    _fields_: ClassVar = [
        ("warm_up", c_uint32),
        ("allowance", c_float),
        ("threshold", c_float),
        ("count", c_uint32),
        ("mean", c_float * 2),
        ("m2", c_float * 2),
        ("excess", c_float),
        ("state", c_uint32),
    ]


class NativeMonitor:
    """The C monitor; attributes and methods are those of `ReferenceMonitor`."""

    def __init__(self, options: Watching | None = None) -> None:
        """Start with no loss."""
        self.options = options or Watching()
        lib = library()
        if lib is None:
            raise UsageError("there is no C build of the learner.", hint="a C compiler")
        pointer = ctypes.POINTER(_CMonitor)
        lib.tl_monitor_init.argtypes = [pointer, c_uint32, c_float, c_float]
        lib.tl_monitor_update.argtypes = lib.tl_monitor_score.argtypes = [pointer, c_float]
        lib.tl_monitor_score.restype = c_float
        self._lib, self._c = lib, _CMonitor()
        chosen = self.options
        lib.tl_monitor_init(self._c, chosen.warm_up, chosen.allowance, chosen.threshold)

    @property
    def drift(self) -> bool:
        """Whether the losses have drifted and are not back."""
        return bool(self._c.state)

    @property
    def excess(self) -> float:
        """Summed rise, in standard deviations."""
        return float(self._c.excess)

    def score(self, loss: float) -> float:
        """Standard deviations above the mean so far; centred only where losses do not vary."""
        return float(self._lib.tl_monitor_score(self._c, loss))

    def update(self, loss: float) -> bool:
        """Take one loss and give `drift` after it; one that is not finite is not counted."""
        return bool(self._lib.tl_monitor_update(self._c, loss))


if TYPE_CHECKING:
    DriftMonitor = NativeMonitor
else:
    DriftMonitor = ReferenceMonitor if library() is None else NativeMonitor
