"""Samples as they come, one JSON object a line; labels may come later, by name."""

import json
import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from edge.faults import Faults, SourceError, x_fault, y_fault
from edge.raw_lines import RawLines
from edge.stream import Sample, Stream

__all__ = ["JsonLines", "Lines"]

_log = logging.getLogger("tinyfleet.samples")

WAITING = 1024
"""Samples that wait for their label; the oldest are given up."""

Float32 = NDArray[np.float32]


class Lines(Stream):
    """Samples out of lines such as `{"x": [0.1, 0.2], "y": 1}`.

    A `y` of null means that nobody knows it: as many NaN as the last target had values. A line with
    an `id` and without `y` waits for a later line with that `id` and its `y`, whose `x` may lack.

    Args:
        read: gives the next line; an empty one at the end.
        keep: how many of a pass's samples `rewind` can give again.
    """

    unit: ClassVar[str] = "line"
    """What a bad one is counted as."""

    def __init__(self, read: Callable[[], str], keep: int = 1024) -> None:
        """Read nothing yet."""
        super().__init__(keep)
        self._read = read
        self._count, self._over = 0, False
        self._waiting: OrderedDict[str, Float32] = OrderedDict()
        self._width = 1
        self._faults = Faults()

    @property
    def sample_name(self) -> str:
        """Which line was read last."""
        return f"{self.unit} {self._count}"

    def new_sample(self) -> Sample:
        """That of the next lines; see `next_sample`."""
        while line := self._read():
            self._count += 1
            if not line.strip():
                continue
            try:
                sample = self._parsed(line)
            except SourceError as error:
                self._faults.add(f"{self.sample_name}: {error.message}", error.hint)
                continue
            self._faults.good()
            if sample is not None:
                return self._widened(*sample)
        self._tell_end()
        raise StopIteration

    def look(self) -> None:
        """Say, without waiting, if there is no more to come, as far as that can be known."""

    def _widened(self, x: Float32, y: Float32) -> Sample:
        """An unknown target has as many values as the last one."""
        if np.isnan(y).all():
            y = np.full(self._width, np.nan, np.float32)
        self._width = y.size
        return x, y

    def _tell_end(self) -> None:
        """Say once that there is no more to come."""
        if not self._over and self._count:
            _log.info("no more samples came after %s", self.sample_name)
        elif not self._over:
            _log.info("no samples came, not one %s", self.unit)
        self._over = True

    def _parsed(self, line: str) -> Sample | None:
        """What a line gives; None where its label or its sample is to come or was given up."""
        found = _object(line)
        name = found.get("id")
        if name is None:
            return _input(found, line), _target(found, line)
        if "y" not in found:
            self._waiting[str(name)] = _input(found, line)
            while len(self._waiting) > WAITING:
                self._waiting.popitem(last=False)
            return None
        y, x = _target(found, line), self._waiting.pop(str(name), None)
        if "x" in found:
            x = _input(found, line)
        if x is None:
            given = f"{self.sample_name}: a label came for {str(name)[:40]!r}"
            self._faults.tell(f"{given}, no sample of that id waits for one.")
        return None if x is None else (x, y)


class HasLines(Protocol):
    """Where lines are read from: a file, or what reads like one."""

    def readline(self) -> str | bytes:
        """The next line, with its end; nothing at the end."""


class JsonLines(Lines):
    """Samples from a text, such as stdin; see `Lines`.

    Args:
        stream: text to read from, or its bytes in UTF-8; what is none costs its own line only.
        keep: how many of a pass's samples `rewind` can give again.
    """

    def __init__(self, stream: HasLines, keep: int = 1024) -> None:
        """Read nothing yet."""
        self._stream = stream
        super().__init__(self._line, keep)

    def look(self) -> None:
        """See `Lines`; only of `RawLines` it can be known."""
        if isinstance(self._stream, RawLines) and self._stream.ended:
            self._tell_end()

    def _line(self) -> str:
        line = self._stream.readline()
        return line if isinstance(line, str) else line.decode("utf-8", "replace")


def _object(line: str) -> dict[str, Any]:
    try:
        found: Any = json.loads(line.removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _no_sample(line)
    return found


def _input(found: dict[str, Any], line: str) -> Float32:
    values = _values(found.get("x"), line)
    return _sound(values, x_fault(values))


def _target(found: dict[str, Any], line: str) -> Float32:
    y = found.get("y", ...)
    values = _values(y if isinstance(y, list) else [y], line)
    return _sound(values, y_fault(values))


def _values(given: Any, line: str) -> Float32:
    try:
        with np.errstate(over="ignore"):
            values = np.asarray(given, np.float32)
    except (ValueError, TypeError, OverflowError):
        raise _no_sample(line) from None
    if values.ndim != 1 or not values.size:
        raise _no_sample(line)
    return values


def _sound(values: Float32, fault: str) -> Float32:
    if fault:
        raise SourceError(fault)
    return values


def _no_sample(line: str) -> SourceError:
    return SourceError(
        f"no JSON object with x and y: {line.strip()[:60]!r}.",
        hint='{"x": [0.1, 0.2], "y": 1}',
    )
