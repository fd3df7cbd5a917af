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
        """Serve requests in order.

        `S` is the next sample, `X` only its input, `N` the last one again, `R` rewinds.
        """
        out = b""
        for request in requests:
            if request in b"SX":
                self._last = encode_frame(self._sample(target=request == ord("S")))
                out += self._last
            elif request == ord("N"):
                out += self._last
            elif request == ord("R") and self._sensor is not None:
                self._sensor.rewind()
        return out

    def _sample(self, *, target: bool) -> bytes:
        if self._sensor is None:
            return b""
        try:
            x, y = self._sensor.next_sample()
        except StopIteration:
            return b""
        self.samples += 1
        parts = (x, y) if target else (x,)
        return b"".join(np.asarray(part, "<f4").tobytes() for part in parts)
