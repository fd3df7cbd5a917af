"""Sensors that a user can name without writing Python: a file of samples, or lines on stdin."""

import json
import sys
import zipfile
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge.errors import TinyfleetError, UsageError
from edge.ports import Sensor

__all__ = ["JsonLines", "Replay", "SourceError", "open_source"]

Sample = tuple[NDArray[np.float32], NDArray[np.float32]]


class SourceError(TinyfleetError):
    """A sample that came is not one."""


class Replay:
    """Stored samples, over and over.

    Args:
        x: [n, n_in] inputs; float32 afterwards.
        y: [n] class indices, or [n, n_out] values.

    Raises:
        UsageError: the shapes do not agree, or there is no sample.

    >>> source = Replay([[1.0, 2.0], [3.0, 4.0]], [0, 1])
    >>> [source.next_sample()[1].item() for _ in range(3)]
    [0.0, 1.0, 0.0]
    """

    def __init__(self, x: ArrayLike, y: ArrayLike) -> None:
        """Take the samples and start at the first."""
        self.x: NDArray[np.float32] = np.asarray(x, np.float32)
        self.y: NDArray[np.float32] = np.asarray(y, np.float32)
        if self.y.ndim == 1:
            self.y = self.y[:, np.newaxis]
        same = self.x.ndim == self.y.ndim == 2 and len(self.x) == len(self.y)
        if not same or not len(self.x):
            raise UsageError(
                f"samples need x of shape [n, n_in] and y of [n] or [n, n_out], "
                f"these are {self.x.shape} and {np.shape(y)}."
            )
        self._at = 0

    def next_sample(self) -> Sample:
        """The next sample; after the last the first again."""
        at = self._at % len(self.x)
        self._at = at + 1
        return self.x[at], self.y[at]

    def rewind(self) -> None:
        """Start again from the first sample."""
        self._at = 0


class JsonLines:
    """Samples as they come, one JSON object `{"x": [...], "y": ...}` a line.

    A `y` of null means that nobody knows it: as many NaN as the last target had values.

    Args:
        stream: text to read from.
        keep: how many of the last samples `rewind` can give again.
    """

    def __init__(self, stream: TextIO, keep: int = 1024) -> None:
        """Read nothing yet."""
        self._stream = stream
        self._seen: deque[Sample] = deque(maxlen=keep)
        self._again: Iterator[Sample] = iter(())
        self._width = 1

    def next_sample(self) -> Sample:
        """A kept sample after `rewind`, else the next line.

        Raises:
            SourceError: the line is not a sample.
            StopIteration: the stream has ended.
        """
        kept = next(self._again, None)
        if kept is not None:
            return kept
        x, y = _read_sample(self._stream)
        if np.isnan(y).all():
            y = np.full(self._width, np.nan, np.float32)
        self._width = y.size
        self._seen.append((x, y))
        return x, y

    def rewind(self) -> None:
        """Give the kept samples again, then new ones."""
        self._again = iter(list(self._seen))


def _read_sample(stream: TextIO) -> Sample:
    line = next((line for line in iter(stream.readline, "") if line.strip()), "")
    if not line:
        raise StopIteration
    try:
        found: Any = json.loads(line)
        x = np.asarray(found["x"], np.float32)
        y = np.atleast_1d(np.asarray(found["y"], np.float32))
    except (ValueError, TypeError, KeyError, OverflowError):
        x = y = np.empty((0, 0), np.float32)
    if x.ndim != 1 or y.ndim != 1 or not x.size or not y.size:
        raise SourceError(
            f"a sample line is not JSON with x and y: {line.strip()[:60]!r}.",
            hint='{"x": [0.1, 0.2], "y": 1}',
        )
    return x, y


def open_source(name: str) -> Sensor:
    """Open what a user named.

    Args:
        name: an `.npz` file with arrays `x` and `y`, or `-` for JSON lines on stdin.

    Raises:
        UsageError: it is neither, or the file does not hold samples.
    """
    if name == "-":
        return JsonLines(sys.stdin)
    path = Path(name)
    if not path.is_file():
        raise UsageError(
            f"no file of samples at {name!r}.", hint="an .npz with arrays x and y, or - for stdin"
        )
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Replay(arrays["x"], arrays["y"])
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise UsageError(
            f"{name!r} is not an .npz file with arrays x and y: {error}",
            hint="numpy.savez('samples.npz', x=x, y=y)",
        ) from error
