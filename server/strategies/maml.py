"""MAML: as FOMAML, with the second-order term of the outer gradient."""

from dataclasses import dataclass, replace
from typing import ClassVar

from edge.messages import MetaPass, Plan
from server.strategies.base import require
from server.strategies.fomaml import FoMaml


@dataclass(frozen=True, kw_only=True)
class Maml(FoMaml):
    """Model-agnostic meta-learning in simulation.

    Finn, Abbeel and Levine, "Model-Agnostic Meta-Learning", ICML 2017. The second-order term is
    measured as the difference of two adaptations from either side of the start: exact for one
    gradient step, the first order in the rate for more. It learns the support set three times, so
    devices, which hold no samples, decline it.

    Args:
        curvature: length of the step to either side, in weights (L2).

    >>> Maml().plan(1, 10).meta.curvature
    0.1
    """

    name: ClassVar[str] = "maml"

    curvature: float = 0.1

    def __post_init__(self) -> None:
        """Refuse options out of range."""
        require(self.curvature > 0, f"curvature {self.curvature:g}", "above 0; fomaml has none")
        super().__post_init__()

    def plan(self, round: int, rounds: int) -> Plan:
        """See `Strategy`: with the second-order term."""
        meta = MetaPass(self.query, self.inner_layers, self.curvature)
        return replace(super().plan(round, rounds), meta=meta)
