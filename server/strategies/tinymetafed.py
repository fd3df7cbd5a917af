"""TinyMetaFed: a local part made anew by each device, and few bytes of the rest on the wire."""

from dataclasses import dataclass, replace
from typing import ClassVar

from edge.messages import LocalPart, Plan
from edge.stepping import Schedule
from server.strategies.local_sgd import LocalSgd


@dataclass(frozen=True, kw_only=True)
class TinyMetaFed(LocalSgd):
    """Meta-learning with partial local reconstruction and selective communication.

    Ren, Li, Anicic and Runkler, "TinyMetaFed: Efficient Federated Meta-Learning for TinyML", 2023:
    the local part is reconstructed on the device in each round and never sent; of the shared part
    the largest Top-P share is, what was left out being added to the next; the rate falls within a
    round, and the outer rate over the rounds. Values go as int8 unless `bits` is 32.

    Args:
        cohort_size: devices in a round.
        epochs: passes over the shared part.
        local_layers: the local part, in layers from the end.
        local_epochs: passes that reconstruct it, before.

    >>> plan = TinyMetaFed().plan(1, 10)
    >>> plan.top_p, plan.bits, plan.local.fresh
    (0.2, 8, True)
    """

    name: ClassVar[str] = "tinymetafed"

    cohort_size: int = 8
    epochs: int = 1
    local_layers: int = 1
    local_epochs: int = 1
    top_p: float = 0.2
    bits: int = 8
    rate_schedule: Schedule = "linear"

    def plan(self, round: int, rounds: int) -> Plan:
        """See `Strategy`: with a part that is reconstructed."""
        local = LocalPart(self.local_layers, self.local_epochs, fresh=True)
        return replace(super().plan(round, rounds), local=local)
