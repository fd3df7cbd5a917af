"""How a host takes its samples: waiting for one holds nothing up, and can be ended."""

import threading
from collections.abc import Callable, Iterator

from edge.errors import TinyfleetError
from edge.intake import Intake
from edge.needs import Needs
from edge.stream import Sample
from edge.worker import Interrupted

__all__ = ["Supply"]


class Supply:
    """Samples for one thread that holds a lock as long as it learns.

    Args:
        intake: where they come from.
        lock: held by who takes a sample; it is free while one is waited for.

    Attributes:
        waiting: whether a sample was asked for and has not come.
        stopped: set it to give no further sample.
    """

    def __init__(self, intake: Intake, lock: threading.Lock) -> None:
        """Take nothing yet."""
        self._intake, self._lock = intake, lock
        self.waiting, self.stopped = False, False

    def next(self, needs: Needs) -> Sample:
        """The next sample, see `Intake.take`.

        Raises:
            TinyfleetError: there is none.
            Interrupted: it came after the stop.
        """
        return self._waited(lambda: self._intake.take(needs))

    def passes(self, needs: Needs, samples: int, epochs: int) -> Iterator[Sample]:
        """So many samples, and the same again in each epoch after the first."""
        given = self._intake.passes(needs, samples, epochs)
        for _ in range(samples * epochs):
            yield self._waited(given.__next__)

    def _waited(self, take: Callable[[], Sample]) -> Sample:
        self.waiting = True
        self._lock.release()
        try:
            sample = take()
        except SystemExit as error:  # it would end this thread alone, and silently
            raise TinyfleetError("the sensor ended itself.") from error
        finally:
            self._lock.acquire()
            self.waiting = False
        if self.stopped:
            raise Interrupted("the device was told to stop.")
        return sample
