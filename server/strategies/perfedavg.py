"""Per-FedAvg: one pass of adaptation, then one over other samples."""

from dataclasses import dataclass
from typing import ClassVar

from server.strategies.base import require
from server.strategies.fomaml import FoMaml


@dataclass(frozen=True, kw_only=True)
class PerFedAvg(FoMaml):
    """Personalised federated averaging, first order (FO).

    Fallah, Mokhtari and Ozdaglar, "Personalized Federated Learning with Theoretical Guarantees",
    NeurIPS 2020. A device adapts in one pass; deltas weigh by their samples.

    >>> PerFedAvg().plan(1, 10).epochs
    1
    """

    name: ClassVar[str] = "perfedavg"
    by_samples: ClassVar[bool] = True

    schedule: str = "constant"

    def __post_init__(self) -> None:
        """Refuse more passes than the method has."""
        require(self.epochs == 1, f"{self.epochs} epochs", "1; fomaml takes more")
        super().__post_init__()
