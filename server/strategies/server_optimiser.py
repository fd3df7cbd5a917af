"""Strategies whose server steps like an optimiser that remembers earlier rounds."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from server.strategies.base import Contribution, Vector, require
from server.strategies.local_sgd import LocalSgd
from server.strategies.robust import robust_mean

__all__ = ["ServerOptimiser"]

Float64 = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ServerOptimiser(LocalSgd):
    """The mean delta as a gradient that two moments follow. Subclassed, not used alone.

    Reddi et al., "Adaptive Federated Optimization", ICLR 2021, algorithm 2, without bias
    correction, as there. The moments are remembered between rounds; a run that is resumed has them
    made again from the rounds in its journal.

    Args:
        cohort_size: devices in a round.
        epochs: passes over a device's samples.
        beta1: share of the first moment that is kept.
        beta2: share of the second moment that is kept.
        tau: what is added to the root of the second moment; how far it adapts.
    """

    by_samples: ClassVar[bool] = True
    remembers: ClassVar[bool] = True

    cohort_size: int = 8
    epochs: int = 1
    schedule: str = "constant"
    first_outer_rate: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.99
    tau: float = 1e-3
    _moments: dict[str, Float64] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Refuse options out of range."""
        for name, beta in (("beta1", self.beta1), ("beta2", self.beta2)):
            require(0 <= beta < 1, f"{name} {beta:g}", "from 0 to below 1")
        require(self.tau > 0, f"tau {self.tau:g}", "above 0")
        super().__post_init__()

    def aggregate(self, base: Vector, updates: Iterable[Contribution], rate: float) -> Vector:
        """See `Strategy`: base + rate * first moment / (root of second moment + tau)."""
        kept = list(updates)
        if not kept:
            return base.copy()
        delta = robust_mean(self.robust, kept, by_samples=self.by_samples).value()
        first = self._moments.get("first", np.zeros(base.size))
        second = self._moments.get("second", np.full(base.size, self.tau**2))
        first = self.beta1 * first + (1 - self.beta1) * delta
        second = self.second(second, delta**2)
        self._moments.update(first=first, second=second)
        step = first / (np.sqrt(second) + self.tau)
        return np.asarray(base.astype(np.float64) + rate * step, np.float32)

    def second(self, second: Float64, squares: Float64) -> Float64:
        """The next second moment, float64 [n]."""
        raise NotImplementedError

    def options(self) -> dict[str, Any]:
        """See `Strategy`."""
        return {name: value for name, value in asdict(self).items() if name != "_moments"}
