"""Strategies: how a round is planned and aggregated, one file each."""

from dataclasses import fields
from typing import Any

from edge.errors import UsageError
from server.option_types import check_types
from server.strategies.anil import Anil
from server.strategies.base import Contribution, Mean, Strategy
from server.strategies.fedadam import FedAdam
from server.strategies.fedavg import FedAvg
from server.strategies.fedbuff import FedBuff
from server.strategies.fedprox import FedProx
from server.strategies.fedrep import FedRep
from server.strategies.fedyogi import FedYogi
from server.strategies.fomaml import FoMaml
from server.strategies.local_sgd import LocalSgd
from server.strategies.maml import Maml
from server.strategies.perfedavg import PerFedAvg
from server.strategies.reptile import Reptile
from server.strategies.tinymetafed import TinyMetaFed
from server.strategies.tinyreptile import TinyReptile

__all__ = ["STRATEGIES", "Contribution", "Mean", "Strategy", "get_strategy"]

STRATEGIES: dict[str, type[LocalSgd]] = {
    kind.name: kind
    for kind in (
        Anil,
        FedAdam,
        FedAvg,
        FedBuff,
        FedProx,
        FedRep,
        FedYogi,
        FoMaml,
        Maml,
        PerFedAvg,
        Reptile,
        TinyMetaFed,
        TinyReptile,
    )
}
"""Every strategy by name."""


def get_strategy(name: str, **options: Any) -> Strategy:
    """Make a strategy.

    Args:
        name: a key of `STRATEGIES`.
        options: its fields; those left out keep their defaults.

    Raises:
        UsageError: no such strategy or option, or a value that it does not allow.

    >>> get_strategy("tinyreptile", samples=8).plan(1, 100).samples
    8
    """
    if name not in STRATEGIES:
        raise UsageError(f"no strategy {name!r}.", hint=", ".join(sorted(STRATEGIES)))
    kind = STRATEGIES[name]
    allowed = sorted(part.name for part in fields(kind) if part.init)
    unknown = sorted(options.keys() - set(allowed))
    if unknown:
        raise UsageError(f"{name} has no option {unknown[0]!r}.", hint=", ".join(allowed))
    check_types(kind, options, f"strategy {name}")
    return kind(**options)
