"""What the strategies share whose devices take plain SGD steps."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from edge.messages import Plan
from edge.stepping import Arithmetic
from edge.stepping import Schedule as RateSchedule
from server.strategies.base import Contribution, Vector, move, moved, require
from server.strategies.robust import check_rule, robust_mean
from server.strategies.schedules import check_schedule, outer_rate

__all__ = ["LocalSgd"]


@dataclass(frozen=True, kw_only=True)
class LocalSgd:
    """SGD on the device; the server moves by the mean of the deltas. Subclassed, not used alone.

    Args:
        samples: how many samples a device learns in each epoch.
        rate: SGD rate on the device.
        first_outer_rate: outer rate of round 1.
        schedule: of the outer rate: constant, linear or cosine.
        train_layers: train the last so many layers; 0 trains all.
        standardise: standardise inputs on the device.
        momentum: share of the last step that is taken again, from 0 to below 1.
        decay: L2 weight decay; 0: none.
        clip: largest norm of a layer's gradient; 0: any.
        arithmetic: mul_add or fma; all devices of a run need to have it.
        rate_schedule: of the device's rate over a round's samples: constant or linear.
        robust: what becomes of the deltas, such as median; see `server.strategies.robust`.
        top_p: share of a delta's entries that is sent, largest first; the rest is sent later.
        bits: of a value on the wire: 32 for float32, 8 for int8 codes; the error is sent later.

    Raises:
        UsageError: a value that no device could follow.
    """

    name: ClassVar[str] = ""
    by_samples: ClassVar[bool] = False
    """Whether a delta weighs as much as its samples, or as any other."""
    fewest_epochs: ClassVar[int] = 1
    remembers: ClassVar[bool] = False
    """Whether `aggregate` depends on earlier calls."""

    samples: int = 32
    rate: float = 0.01
    first_outer_rate: float = 1.0
    schedule: str = "linear"
    train_layers: int = 0
    standardise: bool = False
    momentum: float = 0.0
    decay: float = 0.0
    clip: float = 0.0
    arithmetic: Arithmetic = "mul_add"
    rate_schedule: RateSchedule = "constant"
    robust: str = "mean"
    top_p: float = 1.0
    bits: int = 32

    def __post_init__(self) -> None:
        """Refuse options that no device could follow."""
        fewest = self.fewest_epochs
        require(self.cohort_size >= 1, f"cohort of {self.cohort_size}", "1 or more")
        require(self.samples >= 1, f"{self.samples} samples", "1 or more")
        more = f"{fewest} or more" + "; tinyreptile makes one" * (fewest > 1)
        require(self.epochs >= fewest, f"{self.epochs} epochs", more)
        require(self.rate > 0, f"rate {self.rate:g}", "above 0")
        require(self.first_outer_rate > 0, f"outer rate {self.first_outer_rate:g}", "above 0")
        require(self.train_layers >= 0, f"train_layers {self.train_layers}", "0 (all) or more")
        check_schedule(self.schedule)
        check_rule(self.robust)
        require(0 < self.top_p <= 1, f"top_p {self.top_p:g}", "above 0, at most 1")
        require(self.bits in (8, 32), f"{self.bits} bits", "8 or 32")
        _ = self.plan(1, 1).steps

    @property
    def cohort_size(self) -> int:
        """Devices in a round."""
        return 1

    @property
    def buffer(self) -> int:
        """See `Strategy`: the whole cohort."""
        return self.cohort_size

    @property
    def most_turns(self) -> int:
        """See `Strategy`: a device answers a round once."""
        return 1

    @property
    def max_staleness(self) -> int:
        """See `Strategy`: an update counts in its own round alone."""
        return 0

    @property
    def epochs(self) -> int:
        """Passes over the samples."""
        return 1

    def plan(self, round: int, rounds: int) -> Plan:
        """See `Strategy`: the same in every round."""
        return Plan(
            strategy=self.name,
            rate=self.rate,
            samples=self.samples,
            epochs=self.epochs,
            train_layers=self.train_layers,
            standardise=self.standardise,
            momentum=self.momentum,
            decay=self.decay,
            clip=self.clip,
            arithmetic=self.arithmetic,
            schedule=self.rate_schedule,
            top_p=self.top_p,
            bits=self.bits,
            max_staleness=self.max_staleness,
        )

    def outer_rate(self, round: int, rounds: int) -> float:
        """See `Strategy`: the first outer rate, as scheduled."""
        return outer_rate(self.schedule, self.first_outer_rate, round, rounds)

    def aggregate(self, base: Vector, updates: Iterable[Contribution], rate: float) -> Vector:
        """See `Strategy`: base + rate * mean of the deltas, by the robust rule if there is one."""
        if self.robust != "mean":
            kept = list(updates)
            mean = robust_mean(self.robust, kept, by_samples=self.by_samples) if kept else None
            return base.copy() if mean is None else moved(base, mean, rate)
        return move(base, updates, rate, by_samples=self.by_samples)

    def options(self) -> dict[str, Any]:
        """See `Strategy`."""
        return asdict(self)
