"""Sensors of the Linux kernel's Industrial I/O: channels that are read as files."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edge.errors import UsageError
from edge.faults import Faults, SourceError
from edge.stream import Sample, Stream

__all__ = ["IioSensor"]

DEVICES = Path("/sys/bus/iio/devices")
_DERIVED = re.compile(r".*_(mean|peak|trough)_raw")
"""What the kernel makes of a channel's values, beside the channel."""


class IioSensor(Stream):
    """The channels of one device, in the order of their names, without a label.

    A value is (raw + offset) * scale, as the kernel's ABI says (Documentation/ABI/testing/
    sysfs-bus-iio); where the device does the sum itself, its `input` is taken.

    Args:
        name: such as iio:device0, or what its file `name` says.
        rate: samples a second, at most.
        keep: how many of a pass's samples `rewind` can give again.
        devices: where the kernel shows them.
        wait: sleeps for so many seconds.

    Raises:
        UsageError: there is no such device, or it has no channel.
    """

    def __init__(
        self,
        name: str,
        rate: float = 10.0,
        keep: int = 1024,
        *,
        devices: Path = DEVICES,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(keep)
        folder = _folder(name, devices)
        self._channels = _channels(folder)
        if not self._channels:
            raise UsageError(f"{folder} has no channel in_*_raw.", hint=_known(devices))
        self._pause, self._wait, self._due = 1 / rate, wait, 0.0
        self._count, self._faults = 0, Faults()

    @property
    def sample_width(self) -> int:
        """How many channels there are."""
        return len(self._channels)

    @property
    def sample_name(self) -> str:
        """Which reading was the last."""
        return f"reading {self._count}"

    def new_sample(self) -> Sample:
        """What the channels say now; a reading that fails is told and passed over."""
        while True:
            left = self._due - time.monotonic()
            if left > 0:
                self._wait(left)
            self._due = time.monotonic() + self._pause
            self._count += 1
            try:
                values = [_value(path) for path in self._channels]
            except SourceError as error:
                self._faults.add(f"{self.sample_name}: {error.message}")
                continue
            self._faults.good()
            with np.errstate(over="ignore"):
                return np.array(values, np.float32), np.full(1, np.nan, np.float32)


def _folder(name: str, devices: Path) -> Path:
    named = [f for f in sorted(devices.glob("iio:device*")) if name in (f.name, _text(f / "name"))]
    if not named:
        raise UsageError(f"there is no Industrial I/O device {name!r}.", hint=_known(devices))
    return named[0]


def _channels(folder: Path) -> list[Path]:
    """One file for each channel: `input` where it has both."""
    raw = {_stem(p): p for p in folder.glob("in_*_raw") if not _DERIVED.fullmatch(p.name)}
    found = raw | {_stem(p): p for p in folder.glob("in_*_input")}
    return sorted(found.values(), key=lambda path: path.name)


def _stem(path: Path) -> str:
    """The name of a channel, such as in_accel_x."""
    return path.name.rpartition("_")[0]


def _known(devices: Path) -> str:
    names = [f"{f.name} ({_text(f / 'name')})" for f in sorted(devices.glob("iio:device*"))]
    return ", ".join(names) or f"none is in {devices}"


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, ValueError):
        return ""


def _value(path: Path) -> float:
    try:
        raw = float(path.read_text())
        if path.name.endswith("_input"):
            return raw
        return (raw + _number(path, "offset", 0.0)) * _number(path, "scale", 1.0)
    except (OSError, ValueError) as error:
        raise SourceError(f"{path.name} cannot be read: {error}.") from error


def _number(path: Path, what: str, usual: float) -> float:
    """An attribute of the channel, or that of all its like; see `_holders`."""
    for holder in _holders(_stem(path)):
        text = _text(path.with_name(f"{holder}{what}"))
        if text:
            return float(text)
    return usual


def _holders(channel: str) -> list[str]:
    """What the attributes of a channel begin with, its own first, as the kernel names them.

    Its own; those of its modifier; of its type; of all inputs; of the whole device.

    >>> _holders("in_accel0_x")
    ['in_accel0_x_', 'in_accel_x_', 'in_accel_', 'in_', '']
    >>> _holders("in_voltage0-voltage1")
    ['in_voltage0-voltage1_', 'in_voltage-voltage_', 'in_voltage-voltage_', 'in_', '']
    """
    _, indexed, *modifiers = channel.split("_")
    kind = re.sub(r"\d+(?=-|$)", "", indexed)
    like = "_".join(["in", kind, *modifiers])
    return [f"{channel}_", f"{like}_", f"in_{kind}_", "in_", ""]
