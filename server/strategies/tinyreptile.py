"""TinyReptile: one device a round, one pass over its stream, no sample stored."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from edge.messages import Plan
from server.strategies.base import Contribution, Vector, move, require
from server.strategies.schedules import check_schedule, outer_rate


@dataclass(frozen=True)
class TinyReptile:
    """Meta-learning device by device, from samples seen once.

    Ren, Anicic and Runkler, "TinyReptile: TinyML with Federated Meta-Learning", IJCNN 2023.

    Args:
        samples: how many of the stream a device learns in its round.
        rate: SGD rate on the device.
        first_outer_rate: outer rate of round 1.
        schedule: of the outer rate: constant, linear or cosine.
        train_layers: train the last so many layers; 0 trains all.
        standardise: standardise inputs on the device.

    >>> import numpy as np
    >>> one = [Contribution("a", np.float32([2]), 32)]
    >>> float(TinyReptile().aggregate(np.float32([10]), one, 0.25)[0])
    10.5
    """

    name: ClassVar[str] = "tinyreptile"

    samples: int = 32
    rate: float = 0.01
    first_outer_rate: float = 1.0
    schedule: str = "linear"
    train_layers: int = 0
    standardise: bool = False

    def __post_init__(self) -> None:
        """Refuse options that no device could follow."""
        require(self.samples >= 1, f"{self.samples} samples", "1 or more")
        require(self.rate > 0, f"rate {self.rate:g}", "above 0")
        require(self.first_outer_rate > 0, f"outer rate {self.first_outer_rate:g}", "above 0")
        require(self.train_layers >= 0, f"train_layers {self.train_layers}", "0 (all) or more")
        check_schedule(self.schedule)

    @property
    def cohort_size(self) -> int:
        """See `Strategy`: the method is serial."""
        return 1

    def plan(self, round: int, rounds: int) -> Plan:
        """See `Strategy`: the same in every round."""
        return Plan(
            strategy=self.name,
            rate=self.rate,
            samples=self.samples,
            epochs=1,
            train_layers=self.train_layers,
            standardise=self.standardise,
        )

    def outer_rate(self, round: int, rounds: int) -> float:
        """See `Strategy`: the first outer rate, as scheduled."""
        return outer_rate(self.schedule, self.first_outer_rate, round, rounds)

    def aggregate(self, base: Vector, updates: Iterable[Contribution], rate: float) -> Vector:
        """See `Strategy`: base + rate * mean of the deltas."""
        return move(base, updates, rate)

    def options(self) -> dict[str, Any]:
        """See `Strategy`."""
        return asdict(self)
