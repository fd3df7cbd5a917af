"""The host end of the sensor line: answers a board's requests for samples."""

import numpy as np

from edge.frames import encode_frame
from edge.ports import Sensor

__all__ = ["SensorLine"]


class SensorLine:
    """Turns request bytes into sample frames.

    Args:
        sensor: where samples come from; with None every request is answered "no sample left".

    Attributes:
        samples: samples handed out so far.
    """

    def __init__(self, sensor: Sensor | None) -> None:
        self._sensor = sensor
        self._last = encode_frame(b"")
        self.samples = 0

    def answer(self, requests: bytes) -> bytes:
        """Serve `S` (next sample), `N` (the last one again) and `R` (rewind), in order."""
        out = b""
        for request in requests:
            if request == ord("S"):
                self._last = encode_frame(self._sample())
                out += self._last
            elif request == ord("N"):
                out += self._last
            elif request == ord("R") and self._sensor is not None:
                self._sensor.rewind()
        return out

    def _sample(self) -> bytes:
        if self._sensor is None:
            return b""
        try:
            x, target = self._sensor.next_sample()
        except StopIteration:
            return b""
        self.samples += 1
        parts = (np.asarray(x, "<f4").ravel(), np.asarray(target, "<f4").ravel())
        return b"".join(part.tobytes() for part in parts)
