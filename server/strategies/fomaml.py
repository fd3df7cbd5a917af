"""FOMAML: devices adapt, and send what a pass over other samples then changes."""

from dataclasses import dataclass, replace
from typing import ClassVar

from edge.messages import MetaPass, Plan
from server.strategies.base import require
from server.strategies.local_sgd import LocalSgd


@dataclass(frozen=True, kw_only=True)
class FoMaml(LocalSgd):
    """First-order model-agnostic meta-learning, online.

    Finn, Abbeel and Levine, "Model-Agnostic Meta-Learning", ICML 2017, section 5.2 (first order).
    The outer gradient is a pass of SGD steps over the query samples, so that none is stored.

    Args:
        cohort_size: devices in a round.
        samples: of the support set.
        epochs: passes over it.
        query: samples of the outer pass.
        inner_layers: adapt the last so many layers; 0: all that are trained.

    >>> FoMaml(query=7).plan(1, 10).meta.query
    7
    """

    name: ClassVar[str] = "fomaml"

    cohort_size: int = 8
    samples: int = 10
    epochs: int = 1
    query: int = 10
    inner_layers: int = 0

    def __post_init__(self) -> None:
        """Refuse options that no device could follow."""
        require(self.query >= 1, f"query of {self.query} samples", "1 or more")
        require(self.inner_layers >= 0, f"inner_layers {self.inner_layers}", "0 (all) or more")
        super().__post_init__()

    def plan(self, round: int, rounds: int) -> Plan:
        """See `Strategy`: with a pass over query samples."""
        meta = MetaPass(self.query, self.inner_layers)
        return replace(super().plan(round, rounds), meta=meta)
