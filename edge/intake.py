"""Where a sensor's samples meet a learner: one that it cannot take is told and passed over."""

from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np

from edge.errors import TinyfleetError
from edge.faults import Faults
from edge.lines import Lines
from edge.needs import Needs
from edge.ports import KnownSensor, PassSensor, Sensor
from edge.stream import Sample, Stream

__all__ = ["Intake"]

_LATELY = 10


class Misfit(TinyfleetError):
    """A model takes samples of another width than the sensor gives."""


class Intake:
    """Takes samples for a learner.

    Args:
        sensor: where they come from.
    """

    def __init__(self, sensor: Sensor) -> None:
        """Take nothing yet."""
        self._sensor = sensor
        self._faults = Faults()
        self._count = 0
        self._widths: deque[int] = deque(maxlen=_LATELY)

    def take(self, needs: Needs) -> Sample:
        """The next sample that the learner can take.

        Raises:
            SourceError: so many in a row cannot be used; the fault of the last is named.
            TinyfleetError: the sensor has no more.
        """
        while True:
            try:
                given: Any = self._sensor.next_sample()
            except StopIteration:
                raise TinyfleetError("the sensor has no more samples.") from None
            self._count += 1
            sample = _as_floats(given)
            if sample is None:
                fault = "it is no pair of x and y, arrays of numbers."
            else:
                self._widths.append(sample[0].size)
                sample = needs.indexed(*sample)
                fault = needs.fault(*sample)
            if sample is not None and not fault:
                self._faults.good()
                return sample
            if isinstance(self._sensor, Stream):
                self._sensor.forget()
            hint = needs.hint(sample[1]) if sample is not None else ""
            self._faults.add(f"{self._name()}: {fault}", hint)

    def passes(self, needs: Needs, samples: int, epochs: int) -> Iterator[Sample]:
        """So many samples, and the same again in each epoch after the first."""
        if isinstance(self._sensor, PassSensor):
            self._sensor.begin_pass()
        for epoch in range(epochs):
            if epoch:
                self._sensor.rewind()
            for _ in range(samples):
                yield self.take(needs)

    def look(self) -> None:
        """Have a stream say if it has ended, without waiting for it."""
        if isinstance(self._sensor, Lines):
            self._sensor.look()

    def check_width(self, n_in: int) -> None:
        """Refuse a model that the sensor cannot feed, as far as its width is known.

        A sensor that does not know its width is judged by what came lately.

        Args:
            n_in: inputs of the model.

        Raises:
            Misfit: the sensor gives another number of values.
        """
        known = self._sensor.sample_width if isinstance(self._sensor, KnownSensor) else None
        widths = set(self._widths) if known is None else {known}
        if widths and n_in not in widths:
            given = " or ".join(map(str, sorted(widths)))
            raise Misfit(
                f"the sensor gives {given} inputs a sample, this model takes {n_in}.",
                hint="another model or other --samples; an agent that is started again looks anew",
            )

    def check_round(self, n_in: int) -> None:
        """The same before a round, so that none is taken for a model that could not learn it.

        What came lately is heeded ten rounds at most: a stream may give other samples by now.

        Args:
            n_in: inputs of the model.

        Raises:
            Misfit: the sensor gives another number of values.
        """
        try:
            self.check_width(n_in)
        except Misfit:
            if self._widths:
                self._widths.popleft()
            raise

    def _name(self) -> str:
        if isinstance(self._sensor, KnownSensor):
            return self._sensor.sample_name
        return f"sample {self._count}"


def _as_floats(given: Any) -> Sample | None:
    """What a sensor gave as float32 [n] and [m]; None where it is something else."""
    try:
        with np.errstate(over="ignore"):
            x, y = (np.asarray(part, np.float32) for part in given)
    except (ValueError, TypeError, OverflowError):
        return None
    return x.reshape(-1), y.reshape(-1)
