"""What every strategy does, and the average that most of them share."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError
from edge.messages import Plan

__all__ = ["Contribution", "Mean", "Strategy", "move", "moved", "require"]

Vector = NDArray[np.float32]


@dataclass(frozen=True)
class Contribution:
    """One accepted update.

    Args:
        device: who gave it.
        delta: float32 [n], trained minus base parameters.
        samples: how many samples were learnt.
        staleness: how many rounds before the one it counts in the device began.
        turn: how many updates of this device and beginning came before it.
    """

    device: str
    delta: Vector
    samples: int
    staleness: int = 0
    turn: int = 0


class Strategy(Protocol):
    """How a round is planned, and what becomes of its updates."""

    name: ClassVar[str]
    remembers: ClassVar[bool]
    """Whether `aggregate` depends on earlier calls: then a resumed run makes them again."""

    @property
    def cohort_size(self) -> int:
        """How many devices are asked in a round."""

    @property
    def buffer(self) -> int:
        """How many accepted updates close a round; more devices may be asked."""

    @property
    def most_turns(self) -> int:
        """How often a device may answer a round: it is asked again at once; 0: any number."""

    @property
    def max_staleness(self) -> int:
        """How many rounds an update may be behind and still count; 0: none."""

    def plan(self, round: int, rounds: int) -> Plan:
        """How devices train in round `round` (from 1) of `rounds`."""

    def outer_rate(self, round: int, rounds: int) -> float:
        """How far round `round` moves the model; 1 is all the way to the mean."""

    def aggregate(self, base: Vector, updates: Iterable[Contribution], rate: float) -> Vector:
        """Make the next parameters; the same bits in whatever order the updates come.

        Args:
            base: float32 [n].
            updates: at most one for each device, staleness and turn; none gives `base`.
            rate: the round's outer rate.

        Returns:
            float32 [n], a new array.
        """

    def options(self) -> dict[str, Any]:
        """What `get_strategy` needs to make this strategy again; JSON values."""


class Mean:
    """A weighted sum of deltas and its weight: partial means of server replicas `merge`.

    The sum is kept in float64, so it is exact as long as the float32 deltas span fewer
    than 29 binary orders of magnitude less those of the weights; then merging in any
    order gives the same bits.

    >>> mean = Mean(2)
    >>> mean.add(np.float32([1, 2]), 1.0).add(np.float32([3, 6]), 3.0).value()
    array([2.5, 5. ])
    """

    def __init__(self, n: int) -> None:
        """Start with no weight over `n` parameters."""
        self.sum: NDArray[np.float64] = np.zeros(n, np.float64)
        self.weight = 0.0

    def add(self, delta: Vector, weight: float) -> Self:
        """Add one delta, float32 [n]."""
        self.sum += np.asarray(delta, np.float64) * weight
        self.weight += weight
        return self

    def merge(self, other: Self) -> Self:
        """Add the sum and weight of another part of the cohort."""
        self.sum += other.sum
        self.weight += other.weight
        return self

    def value(self) -> NDArray[np.float64]:
        """The mean, float64 [n]; zeros where nothing was added."""
        return self.sum / self.weight if self.weight else self.sum.copy()


def move(
    base: Vector, updates: Iterable[Contribution], rate: float, *, by_samples: bool = False
) -> Vector:
    """Move the base by `rate` times the mean delta.

    Args:
        base: float32 [n].
        updates: at most one for each device; they are summed in the order of device names.
        rate: outer rate.
        by_samples: weigh each delta by its samples instead of equally.

    Returns:
        float32 [n], rounded once from float64.
    """
    mean = Mean(base.size)
    for update in sorted(updates, key=lambda update: update.device):
        mean.add(update.delta, float(update.samples) if by_samples else 1.0)
    return moved(base, mean, rate)


def moved(base: Vector, mean: Mean, rate: float) -> Vector:
    """The base float32 [n], moved by `rate` times a mean; rounded once from float64."""
    return (base.astype(np.float64) + rate * mean.value()).astype(np.float32)


def require(condition: bool, came: str, allowed: str) -> None:
    """Refuse an option of a strategy.

    Raises:
        UsageError: `condition` does not hold.
    """
    if not condition:
        raise UsageError(f"{came} is not allowed: {allowed}.")
