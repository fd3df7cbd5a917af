"""Sensors of the Linux kernel's Industrial I/O: channels that are read as files."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edge.again import Again
from edge.errors import UsageError
from edge.lines import Sample, SourceError

__all__ = ["IioSensor"]

DEVICES = Path("/sys/bus/iio/devices")


class IioSensor:
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
        folder = _folder(name, devices)
        self._channels = sorted(
            [*folder.glob("in_*_raw"), *folder.glob("in_*_input")], key=lambda path: path.name
        )
        if not self._channels:
            raise UsageError(f"{folder} has no channel in_*_raw.", hint=_known(devices))
        self._pause, self._wait, self._due = 1 / rate, wait, 0.0
        self._again = Again(keep)

    def next_sample(self) -> Sample:
        """A kept sample after `rewind`, else what the channels say now.

        Raises:
            SourceError: a channel cannot be read.
        """
        kept = self._again.next()
        if kept is not None:
            return kept
        left = self._due - time.monotonic()
        if left > 0:
            self._wait(left)
        self._due = time.monotonic() + self._pause
        x = np.array([_value(path) for path in self._channels], np.float32)
        sample = (x, np.full(1, np.nan, np.float32))
        self._again.add(sample)
        return sample

    def rewind(self) -> None:
        """Give the samples of the latest pass again, then new ones."""
        self._again.rewind()


def _folder(name: str, devices: Path) -> Path:
    named = [f for f in sorted(devices.glob("iio:device*")) if name in (f.name, _text(f / "name"))]
    if not named:
        raise UsageError(f"there is no Industrial I/O device {name!r}.", hint=_known(devices))
    return named[0]


def _known(devices: Path) -> str:
    names = [f"{f.name} ({_text(f / 'name')})" for f in sorted(devices.glob("iio:device*"))]
    return ", ".join(names) or f"none is in {devices}"


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
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
    """The channel's own attribute, or that of all channels of its kind: in_accel_scale."""
    own = path.name.removesuffix("raw") + what
    kind = path.name.removeprefix("in_").split("_")[0].rstrip("0123456789")
    for name in (own, f"in_{kind}_{what}"):
        text = _text(path.with_name(name))
        if text:
            return float(text)
    return usual
