"""FedBuff: asynchronous rounds that a full buffer closes; the slower count, but less."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from server.strategies.base import Contribution, Mean, Vector, moved, require
from server.strategies.local_sgd import LocalSgd


@dataclass(frozen=True, kw_only=True)
class FedBuff(LocalSgd):
    """Buffered asynchronous aggregation.

    Nguyen et al., "Federated Learning with Buffered Asynchronous Aggregation", AISTATS 2022
    (arXiv:2106.06639): the model moves whenever the buffer is full, by the outer rate, which is the
    server's learning rate. No device waits: one that has answered is asked again at once, and the
    update of one that was still at an earlier round counts by 1 / sqrt(1 + rounds behind).

    Args:
        cohort_size: devices that work at the same time.
        epochs: passes over the samples.
        buffer: updates that close a round; a fast device may give several of them.
        max_staleness: most rounds that an update may be behind; later ones are refused.
        most_turns: most updates of one device from one model; 0: any number. A robust rule needs a
            small one, or a fast liar fills the buffer.

    >>> import numpy as np
    >>> two = [Contribution("a", np.float32([2]), 1), Contribution("b", np.float32([2]), 1, 3)]
    >>> float(FedBuff().aggregate(np.float32([0]), two, 1.0)[0])
    1.5
    """

    name: ClassVar[str] = "fedbuff"

    cohort_size: int = 8
    epochs: int = 1
    buffer: int = 4
    max_staleness: int = 4
    most_turns: int = 0
    schedule: str = "constant"

    def __post_init__(self) -> None:
        """Refuse an empty buffer."""
        super().__post_init__()
        require(self.buffer >= 1, f"a buffer of {self.buffer}", "1 or more")
        require(self.most_turns >= 0, f"most_turns {self.most_turns}", "0 (any) or more")
        require(self.max_staleness >= 0, f"a staleness of {self.max_staleness}", "0 or more")

    def aggregate(self, base: Vector, updates: Iterable[Contribution], rate: float) -> Vector:
        """See `Strategy`: the mean of the weighed deltas, by the robust rule if there is one."""
        kept = sorted(updates, key=lambda one: (one.device, one.staleness, one.turn))
        if self.robust != "mean":
            weighed = [replace(one, delta=_weight(one) * one.delta) for one in kept]
            return super().aggregate(base, weighed, rate)
        mean = Mean(base.size)
        for one in kept:
            mean.add(one.delta, float(_weight(one)))
        mean.weight = float(len(kept))
        return moved(base, mean, rate)


def _weight(one: Contribution) -> np.float32:
    return np.float32((1 + one.staleness) ** -0.5)
