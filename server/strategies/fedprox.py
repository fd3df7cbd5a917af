"""FedProx: devices are drawn back to the model they started from."""

from dataclasses import dataclass, replace
from typing import ClassVar

from edge.messages import Plan
from server.strategies.base import require
from server.strategies.local_sgd import LocalSgd


@dataclass(frozen=True, kw_only=True)
class FedProx(LocalSgd):
    """Federated averaging of devices that stay near the base.

    Li et al., "Federated Optimization in Heterogeneous Networks", MLSys 2020. The local problem is
    solved by forward-backward splitting: each epoch learns new samples, then takes the proximal
    point of `mu / 2 |w - base|^2`.

    Args:
        cohort_size: devices in a round.
        epochs: how often a device learns `samples` new samples and is drawn back.
        mu: strength of the proximal term, 1 / (units of a weight, squared).

    >>> FedProx(mu=0.5).plan(1, 10).proximal
    0.5
    """

    name: ClassVar[str] = "fedprox"
    by_samples: ClassVar[bool] = True

    cohort_size: int = 8
    epochs: int = 2
    schedule: str = "constant"
    mu: float = 0.1

    def __post_init__(self) -> None:
        """Refuse options that no device could follow."""
        require(self.mu > 0, f"mu {self.mu:g}", "above 0; fedavg has none")
        super().__post_init__()

    def plan(self, round: int, rounds: int) -> Plan:
        """See `Strategy`: with the proximal term."""
        return replace(super().plan(round, rounds), proximal=self.mu)
