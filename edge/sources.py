"""Sensors that a user can name without writing Python: files, stdin, topics, kernel sensors."""

import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.broker_options import BrokerOptions
from edge.errors import UsageError
from edge.lines import JsonLines
from edge.ports import Sensor
from edge.raw_lines import RawLines
from edge.replay import Replay
from edge.tables import read_table

__all__ = ["JsonLines", "Replay", "open_source", "read_table", "stored_arrays"]

_STORED = "numpy.savez('samples.npz', x=x, y=y)"


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
        if sys.stdin is None:
            raise UsageError("stdin is closed, no samples can come on it.", hint="a pipe or a file")
        buffered = getattr(sys.stdin, "buffer", sys.stdin)
        raw = getattr(buffered, "raw", None)
        return JsonLines(buffered if raw is None else RawLines(raw))
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
    return _stored(path)


def _stored(path: Path) -> Replay:
    """Samples of an .npz, such as are learnt from."""
    arrays = stored_arrays(path, ("x", "y"))
    try:
        found = Replay(arrays["x"], arrays["y"])
    except UsageError as error:
        raise UsageError(f"{str(path)!r}: {error.message}", hint=_STORED) from None
    if fault := found.fault():
        raise UsageError(f"{str(path)!r}, sample {fault[0] + 1}: {fault[1]}")
    return found


def stored_arrays(path: Path, needed: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Arrays x and y of an .npz, as far as they are there.

    Args:
        path: the file.
        needed: which of them must be.

    Raises:
        UsageError: it is no .npz, lacks one, or does not hold numbers; whatever a damaged one makes
            its readers raise becomes one.
    """
    if not zipfile.is_zipfile(path):
        raise UsageError(f"{str(path)!r} is no .npz file.", hint=_STORED)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            lacking = [name for name in needed if name not in arrays.files]
            found = {name: _numbers(arrays[name]) for name in ("x", "y") if name in arrays.files}
    except Exception as error:
        raise UsageError(
            f"x and y of {str(path)!r} are not arrays of numbers, or damaged.", hint=_STORED
        ) from error
    if lacking:
        raise UsageError(f"{str(path)!r} has no array {lacking[0]}.", hint=_STORED)
    return found


def _numbers(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind not in "biuf":
        raise TypeError(array.dtype)
    return array
