"""FedBuff: asynchronous rounds that a full buffer closes; the slower count, but less."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

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

    >>> import numpy as np
    >>> two = [Contribution("a", np.float32([2]), 1), Contribution("b", np.float32([2]), 1, 3)]
    >>> float(FedBuff().aggregate(np.float32([0]), two, 1.0)[0])
    1.5
    """

    name: ClassVar[str] = "fedbuff"
    asks_again: ClassVar[bool] = True

    cohort_size: int = 8
    epochs: int = 1
    buffer: int = 4
    max_staleness: int = 4
    schedule: str = "constant"

    def __post_init__(self) -> None:
        """Refuse an empty buffer, and rules that know no staleness."""
        super().__post_init__()
        require(self.buffer >= 1, f"a buffer of {self.buffer}", "1 or more")
        require(self.max_staleness >= 0, f"a staleness of {self.max_staleness}", "0 or more")
        require(self.robust == "mean", f"robust {self.robust!r} with fedbuff", "mean")

    def aggregate(self, base: Vector, updates: Iterable[Contribution], rate: float) -> Vector:
        """See `Strategy`: the sum of the weighed deltas over their number."""
        kept = sorted(updates, key=lambda one: (one.device, one.staleness, one.turn))
        mean = Mean(base.size)
        for update in kept:
            mean.add(update.delta, (1 + update.staleness) ** -0.5)
        mean.weight = float(len(kept))
        return moved(base, mean, rate)
