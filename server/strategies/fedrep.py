"""FedRep: a shared body, and a head that never leaves its device."""

from dataclasses import dataclass, replace
from typing import ClassVar

from edge.messages import LocalPart, Plan
from server.strategies.local_sgd import LocalSgd


@dataclass(frozen=True, kw_only=True)
class FedRep(LocalSgd):
    """Federated representation learning.

    Collins et al., "Exploiting Shared Representations for Personalized Federated Learning",
    ICML 2021. The head is trained alone first; in the pass that follows it keeps stepping with the
    body, because the learner freezes only from the front. A device that restarts begins with the
    base's head.

    Args:
        cohort_size: devices in a round.
        epochs: passes that train the body.
        local_layers: the head, in layers from the end.
        local_epochs: passes that train the head alone, before.

    >>> FedRep().plan(1, 10).local.layers
    1
    """

    name: ClassVar[str] = "fedrep"

    cohort_size: int = 8
    epochs: int = 1
    schedule: str = "constant"
    local_layers: int = 1
    local_epochs: int = 2

    def plan(self, round: int, rounds: int) -> Plan:
        """See `Strategy`: with a part that stays."""
        local = LocalPart(self.local_layers, self.local_epochs)
        return replace(super().plan(round, rounds), local=local)
