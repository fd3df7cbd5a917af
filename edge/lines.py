"""Samples as they come, one JSON object a line; labels may come later, by name."""

import json
import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, ClassVar, TextIO

import numpy as np
from numpy.typing import NDArray

from edge.again import Again
from edge.errors import TinyfleetError

__all__ = ["JsonLines", "Lines", "Sample", "SourceError"]

_log = logging.getLogger("tinyfleet.samples")

Sample = tuple[NDArray[np.float32], NDArray[np.float32]]
BAD_LINES = 10
"""Lines in a row that may be no samples."""
WAITING = 1024
"""Samples that wait for their label; the oldest are given up."""


class SourceError(TinyfleetError):
    """A sample that came is not one."""


class Lines:
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
        self._read = read
        self._count, self._over = 0, False
        self._again = Again(keep)
        self._waiting: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._width = 1

    def next_sample(self) -> Sample:
        """A kept sample after `rewind`, else that of the next lines.

        Raises:
            SourceError: so many lines in a row are not samples; a few are told and passed over.
            StopIteration: there are no more lines.
        """
        kept = self._again.next()
        if kept is not None:
            return kept
        sample, bad = None, 0
        while sample is None:
            line = self._read()
            if not line:
                self._tell_end()
                raise StopIteration
            self._count += 1
            try:
                sample = self._sample(line) if line.strip() else None
            except SourceError as error:
                bad += 1
                if bad == BAD_LINES:
                    raise
                _log.warning("passed over %s", error)
        x, y = sample
        if np.isnan(y).all():
            y = np.full(self._width, np.nan, np.float32)
        self._width = y.size
        self._again.add((x, y))
        return x, y

    def rewind(self) -> None:
        """Give the samples of the latest pass again, then new ones."""
        self._again.rewind()

    def _tell_end(self) -> None:
        """Say once that there is no more to come."""
        if not self._over:
            _log.info("no more samples came after %s %d", self.unit, self._count)
        self._over = True

    def _sample(self, line: str) -> Sample | None:
        """See `_parsed`; the number of the line is in what is refused."""
        try:
            return self._parsed(line)
        except SourceError as error:
            where = f"{self.unit} {self._count}"
            raise SourceError(f"{where}: {error.message}", hint=error.hint) from None

    def _parsed(self, line: str) -> Sample | None:
        """What a line gives; None where its label or its sample is to come or was given up."""
        found = _object(line)
        name = found.get("id")
        if name is None:
            return _values(found, "x", line), _targets(found, line)
        if "y" not in found:
            self._waiting[str(name)] = _values(found, "x", line)
            while len(self._waiting) > WAITING:
                self._waiting.popitem(last=False)
            return None
        y, x = _targets(found, line), self._waiting.pop(str(name), None)
        if "x" in found:
            x = _values(found, "x", line)
        return None if x is None else (x, y)


class JsonLines(Lines):
    """Samples from a text, such as stdin; see `Lines`.

    Args:
        stream: text to read from.
        keep: how many of a pass's samples `rewind` can give again.
    """

    def __init__(self, stream: TextIO, keep: int = 1024) -> None:
        """Read nothing yet."""
        super().__init__(stream.readline, keep)


def _object(line: str) -> dict[str, Any]:
    try:
        found: Any = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _no_sample(line)
    return found


def _values(found: dict[str, Any], name: str, line: str) -> NDArray[np.float32]:
    try:
        values = np.asarray(found[name], np.float32)
    except (ValueError, TypeError, KeyError, OverflowError):
        raise _no_sample(line) from None
    if values.ndim != 1 or not values.size:
        raise _no_sample(line)
    return values


def _targets(found: dict[str, Any], line: str) -> NDArray[np.float32]:
    y = found.get("y", ...)
    if isinstance(y, list):
        return _values(found, "y", line)
    return _values({"y": [y]}, "y", line)


def _no_sample(line: str) -> SourceError:
    return SourceError(
        f"no JSON object with x and y: {line.strip()[:60]!r}.",
        hint='{"x": [0.1, 0.2], "y": 1}',
    )
