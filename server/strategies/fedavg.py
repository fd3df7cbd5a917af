"""FedAvg: one model for all, averaged by how much each device learnt."""

from dataclasses import dataclass
from typing import ClassVar

from server.strategies.local_sgd import LocalSgd


@dataclass(frozen=True, kw_only=True)
class FedAvg(LocalSgd):
    """Federated averaging; an outer rate below 1 damps it.

    McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data",
    AISTATS 2017.

    Args:
        cohort_size: devices in a round.
        epochs: passes over a device's samples.

    >>> import numpy as np
    >>> from server.strategies import Contribution
    >>> deltas = [Contribution("a", np.float32([1]), 8), Contribution("b", np.float32([3]), 24)]
    >>> float(FedAvg().aggregate(np.float32([10]), deltas, 1.0)[0])
    12.5
    """

    name: ClassVar[str] = "fedavg"
    by_samples: ClassVar[bool] = True

    cohort_size: int = 8
    epochs: int = 1
    schedule: str = "constant"
