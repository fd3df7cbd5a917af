"""Sensors that a user can name without writing Python: files, stdin, topics, kernel sensors."""

import csv
import re
import sys
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge.broker_options import BrokerOptions
from edge.errors import UsageError
from edge.lines import JsonLines, Sample, SourceError
from edge.ports import Sensor

__all__ = [
    "JsonLines",
    "Replay",
    "SourceError",
    "open_source",
    "read_columns",
    "read_table",
    "stored_arrays",
]

_TABLE = "numbers with commas; the last column, or those called y, are the targets"


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


def read_table(path: Path) -> Replay:
    """Samples of a .csv: the last column is y, all others x.

    Where the first line has names, columns called y, or y0, y1 and so on, are y instead.

    Raises:
        UsageError: it is no table of numbers; the line that is not is named.
    """
    names, table = read_columns(path)
    if table.shape[1] < 2:
        raise UsageError(f"{path} is a table of shape {table.shape}.", hint=_TABLE)
    targets = [i for i, name in enumerate(names) if re.fullmatch(r"y\d*", name.strip())]
    targets = targets or [table.shape[1] - 1]
    inputs = [i for i in range(table.shape[1]) if i not in targets]
    return Replay(table[:, inputs], table[:, targets])


def read_columns(path: Path) -> tuple[list[str], NDArray[np.float32]]:
    """All columns of a .csv: their names, if the first line has any, and float32 [n, columns].

    Raises:
        UsageError: it is no table of numbers; the line that is not is named.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            numbered = [(reader.line_num, line) for line in reader if line]
    except (ValueError, csv.Error):
        raise UsageError(f"{path} is no text with commas.", hint=_TABLE) from None
    names = [] if not numbered or all(map(_is_number, numbered[0][1])) else numbered.pop(0)[1]
    try:
        table = np.array([line for _, line in numbered], np.float32)
    except ValueError:
        raise UsageError(f"{path}, {_fault(numbered)}.", hint=_TABLE) from None
    if table.ndim != 2 or (names and len(names) != table.shape[1]):
        raise UsageError(f"{path} is a table of shape {table.shape}.", hint=_TABLE)
    return names, table


def _fault(numbered: list[tuple[int, list[str]]]) -> str:
    """Which line of a table is none, and why."""
    width = len(numbered[0][1])
    for number, line in numbered:
        if len(line) != width:
            return f"line {number}: {len(line)} values, the lines before have {width}"
        wrong = next((text for text in line if not _is_number(text)), None)
        if wrong is not None:
            return f"line {number}: {wrong.strip()[:40]!r} is no number"
    return "not all values are numbers"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def open_source(name: str, options: BrokerOptions | None = None) -> Sensor:
    """Open what a user named.

    Args:
        name: an `.npz` file with arrays `x` and `y`; a `.csv`, see `read_table`; `-` for JSON lines
            on stdin; `mqtt:TOPIC` for such objects on a topic; `iio:deviceN` or `iio:NAME` for a
            sensor of the Linux kernel.
        options: where the broker of an MQTT topic is; None: on this machine.

    Raises:
        UsageError: it is none of these, or the file does not hold samples.
    """
    if name == "-":
        return JsonLines(sys.stdin)
    if name.startswith("mqtt:"):
        from edge.mqtt_source import MqttSource

        return MqttSource(options or BrokerOptions(), name.removeprefix("mqtt:"))
    if name.startswith("iio:"):
        from edge.iio import IioSensor

        given = name.removeprefix("iio:")
        return IioSensor(name if given.startswith("device") else given)
    path = Path(name)
    if not path.is_file():
        raise UsageError(
            f"no file of samples at {name!r}.",
            hint="an .npz with arrays x and y, a .csv, - for stdin, mqtt:TOPIC, or iio:device0",
        )
    if path.suffix.lower() == ".csv":
        return read_table(path)
    arrays = stored_arrays(path, ("x", "y"))
    return Replay(arrays["x"], arrays["y"])


def stored_arrays(path: Path, needed: tuple[str, ...]) -> dict[str, NDArray[np.float32]]:
    """Arrays x and y of an .npz, as far as they are there.

    Args:
        path: the file.
        needed: which of them must be.

    Raises:
        UsageError: it is no .npz, lacks one, or does not hold numbers.
    """
    hint = "numpy.savez('samples.npz', x=x, y=y)"
    if not zipfile.is_zipfile(path):
        raise UsageError(f"{str(path)!r} is no .npz file.", hint=hint)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            lacking = [name for name in needed if name not in arrays.files]
            if lacking:
                raise UsageError(f"{str(path)!r} has no array {lacking[0]}.", hint=hint)
            there = [name for name in ("x", "y") if name in arrays.files]
            return {name: np.asarray(arrays[name], np.float32) for name in there}
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise UsageError(
            f"x and y of {str(path)!r} are not arrays of numbers, or damaged.", hint=hint
        ) from error
