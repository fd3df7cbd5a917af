"""How a host takes its samples: waiting for one holds nothing up, and can be ended."""

import threading
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edge.errors import TinyfleetError
from edge.messages import Plan
from edge.ports import Sensor
from edge.worker import Interrupted

__all__ = ["Supply"]

Sample = tuple[NDArray[np.float32], NDArray[np.float32]]


class Supply:
    """The samples of a sensor, for one thread that holds a lock as long as it learns.

    Args:
        sensor: where they come from.
        lock: held by who takes a sample; it is free while the sensor is waited for.

    Attributes:
        waiting: whether the sensor was asked for a sample and has not given it.
        stopped: set it to give no further sample.
    """

    def __init__(self, sensor: Sensor, lock: threading.Lock) -> None:
        """Take nothing yet."""
        self.sensor, self._lock = sensor, lock
        self.waiting, self.stopped = False, False

    def next(self) -> Sample:
        """The next sample.

        Raises:
            TinyfleetError: there is none.
            Interrupted: it came after the stop.
        """
        self.waiting = True
        self._lock.release()
        try:
            sample = self.sensor.next_sample()
        except StopIteration:
            raise TinyfleetError("the sensor has no more samples.") from None
        finally:
            self._lock.acquire()
            self.waiting = False
        if self.stopped:
            raise Interrupted("the device was told to stop.")
        return sample

    def passes(self, plan: Plan) -> Iterator[Sample]:
        """The samples of a plan; the sensor is rewound before every pass after the first."""
        for epoch in range(plan.epochs):
            if epoch > 0:
                self.sensor.rewind()
            for _ in range(plan.samples):
                yield self.next()
