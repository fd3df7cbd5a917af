"""Where a sensor's samples meet a learner: one that it cannot take is told and passed over."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import TinyfleetError
from edge.faults import Faults, x_fault, y_fault
from edge.ports import KnownSensor, PassSensor, Sensor
from edge.stream import Sample, Stream

__all__ = ["Intake", "Needs"]

Float32 = NDArray[np.float32]
_LATELY = 10


class Misfit(TinyfleetError):
    """A model takes samples of another width than the sensor gives."""


@dataclass(frozen=True)
class Needs:
    """What a learner takes.

    Args:
        n_in: values of an input.
        n_out: values of an output.
        classes: whether a target is a class index, from 0 to below `n_out`.
        targets: whether it needs any; an autoencoder does not.
    """

    n_in: int
    n_out: int
    classes: bool
    targets: bool = True

    def fault(self, x: Float32, y: Float32) -> str:
        """What is wrong with a sample, in a sentence; empty: nothing.

        Args:
            x: float32 [n], the input.
            y: float32 [m], the target; all NaN: unknown.
        """
        if x.size != self.n_in:
            return f"it has {x.size} inputs, the model takes {self.n_in}."
        return x_fault(x) or (self._target_fault(y) if self.targets else "")

    def _target_fault(self, y: Float32) -> str:
        if not y.size:
            return "it has no target; NaN says that it is unknown."
        wrong = y_fault(y)
        if wrong or np.isnan(y[0]):
            return wrong
        if y.size != (1 if self.classes else self.n_out):
            needed = "the index of a class" if self.classes else str(self.n_out)
            return f"it has {y.size} targets, the model takes {needed}."
        if self.classes and not (0 <= y[0] < self.n_out and y[0] == np.floor(y[0])):
            return f"its class is {y[0]:g}, those of the model are 0 to {self.n_out - 1}."
        return ""


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
                fault = needs.fault(*sample)
            if sample is not None and not fault:
                self._faults.good()
                return sample
            if isinstance(self._sensor, Stream):
                self._sensor.forget()
            self._faults.add(f"{self._name()}: {fault}")

    def passes(self, needs: Needs, samples: int, epochs: int) -> Iterator[Sample]:
        """So many samples, and the same again in each epoch after the first."""
        if isinstance(self._sensor, PassSensor):
            self._sensor.begin_pass()
        for epoch in range(epochs):
            if epoch:
                self._sensor.rewind()
            for _ in range(samples):
                yield self.take(needs)

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
