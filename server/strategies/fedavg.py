"""FedAvg: one model for all, averaged by how much each device learnt."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from edge.messages import Plan
from server.strategies.base import Contribution, Vector, move, require
from server.strategies.schedules import check_schedule, outer_rate


@dataclass(frozen=True)
class FedAvg:
    """Federated averaging.

    McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data",
    AISTATS 2017; an outer rate below 1 damps it.

    Args:
        cohort_size: devices in a round.
        samples: how many samples a device learns in each epoch.
        epochs: passes over them.
        rate: SGD rate on the device.
        first_outer_rate: outer rate of round 1.
        schedule: of the outer rate: constant, linear or cosine.
        train_layers: train the last so many layers; 0 trains all.
        standardise: standardise inputs on the device.

    >>> import numpy as np
    >>> deltas = [Contribution("a", np.float32([1]), 8), Contribution("b", np.float32([3]), 24)]
    >>> float(FedAvg().aggregate(np.float32([10]), deltas, 1.0)[0])
    12.5
    """

    name: ClassVar[str] = "fedavg"

    cohort_size: int = 8
    samples: int = 32
    epochs: int = 1
    rate: float = 0.01
    first_outer_rate: float = 1.0
    schedule: str = "constant"
    train_layers: int = 0
    standardise: bool = False

    def __post_init__(self) -> None:
        """Refuse options that no device could follow."""
        require(self.cohort_size >= 1, f"cohort of {self.cohort_size}", "1 or more")
        require(self.samples >= 1, f"{self.samples} samples", "1 or more")
        require(self.epochs >= 1, f"{self.epochs} epochs", "1 or more")
        require(self.rate > 0, f"rate {self.rate:g}", "above 0")
        require(self.first_outer_rate > 0, f"outer rate {self.first_outer_rate:g}", "above 0")
        require(self.train_layers >= 0, f"train_layers {self.train_layers}", "0 (all) or more")
        check_schedule(self.schedule)

    def plan(self, round: int, rounds: int) -> Plan:
        """See `Strategy`: the same in every round."""
        return Plan(
            strategy=self.name,
            rate=self.rate,
            samples=self.samples,
            epochs=self.epochs,
            train_layers=self.train_layers,
            standardise=self.standardise,
        )

    def outer_rate(self, round: int, rounds: int) -> float:
        """See `Strategy`: the first outer rate, as scheduled."""
        return outer_rate(self.schedule, self.first_outer_rate, round, rounds)

    def aggregate(self, base: Vector, updates: Iterable[Contribution], rate: float) -> Vector:
        """See `Strategy`: base + rate * mean of the deltas, weighted by samples."""
        return move(base, updates, rate, by_samples=True)

    def options(self) -> dict[str, Any]:
        """See `Strategy`."""
        return asdict(self)
