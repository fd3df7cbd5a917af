"""Reptile: devices train on a stored support set, side by side."""

from dataclasses import dataclass
from typing import ClassVar

from server.strategies.local_sgd import LocalSgd


@dataclass(frozen=True, kw_only=True)
class Reptile(LocalSgd):
    """Meta-learning by moving towards what a cohort learns in parallel.

    Nichol, Achiam and Schulman, "On First-Order Meta-Learning Algorithms", 2018, batched form.

    Args:
        cohort_size: devices in a round.
        samples: size of a device's support set.
        epochs: passes over it, 2 or more (tinyreptile makes one).

    >>> import numpy as np
    >>> from server.strategies import Contribution
    >>> deltas = [Contribution("a", np.float32([1]), 8), Contribution("b", np.float32([3]), 24)]
    >>> float(Reptile().aggregate(np.float32([10]), deltas, 0.5)[0])
    11.0
    """

    name: ClassVar[str] = "reptile"
    fewest_epochs: ClassVar[int] = 2

    cohort_size: int = 8
    samples: int = 10
    epochs: int = 8
