"""The two outside lines of a device: its serial link and its sensor."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = ["KnownSensor", "PassSensor", "Sensor", "SerialPort"]


class SerialPort(Protocol):
    """A byte link to one board: an emulated UART, or a real one through pyserial."""

    def write(self, data: bytes, /) -> Any:
        """Send bytes; returns when they are handed over."""

    def read(self, timeout: float, /) -> bytes:
        """Give the bytes that have come, waiting at most `timeout` seconds for the first.

        Returns:
            At least one byte, or `b""` if nothing came in time.
        """

    def close(self) -> None:
        """Give the line back; a second call does nothing."""


class Sensor(Protocol):
    """Where a device's own samples come from; they never leave the device."""

    def next_sample(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Take one sample.

        Returns:
            x: float32 [n_in].
            target: float32 [1] with a class index (cross-entropy), or float32 [n_out] (MSE).

        Raises:
            StopIteration: there are no more samples.
        """

    def rewind(self) -> None:
        """Go back to the first sample of the pass, for its next epoch.

        A pass is what came new since the pass before; see `PassSensor`.
        """


@runtime_checkable
class PassSensor(Sensor, Protocol):
    """A sensor that is told where a pass begins; none has to be."""

    def begin_pass(self) -> None:
        """Begin a pass behind all that was given: `rewind` never goes back beyond here."""


@runtime_checkable
class KnownSensor(Sensor, Protocol):
    """A sensor that says more of its samples; none has to."""

    @property
    def sample_width(self) -> int | None:
        """How many inputs the next sample has; None: who knows."""

    @property
    def sample_name(self) -> str:
        """Which sample was given last, such as "line 7"."""
