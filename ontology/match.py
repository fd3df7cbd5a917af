"""What fits where, ranked, and why not: every condition with what is needed and what is there."""

from dataclasses import dataclass

from edge.errors import UsageError
from ontology import resolve
from ontology.catalog import Catalog
from ontology.conditions import Condition, Wishes, conditions
from ontology.described import Described, described
from ontology.namespaces import shorten

__all__ = ["Condition", "Match", "Wishes", "fits"]


@dataclass(frozen=True)
class Match:
    """How a model and a device go together."""

    model: str
    device: str
    conditions: tuple[Condition, ...]

    @property
    def runs(self) -> bool:
        """Whether the device can run the model."""
        return all(c.holds for c in self.conditions if not c.for_training)

    @property
    def trains(self) -> bool:
        """Whether the device can also train all of it."""
        return all(c.holds for c in self.conditions)

    @property
    def fits(self) -> bool:
        """The same as `runs`."""
        return self.runs

    @property
    def verdict(self) -> str:
        """`trains`, `runs` or `does not fit`."""
        return "trains" if self.trains else "runs" if self.runs else "does not fit"

    @property
    def reasons(self) -> list[str]:
        """Why not, one a failed condition, mostly with both values; empty where it trains."""
        return [str(condition) for condition in self.conditions if not condition.holds]

    def __str__(self) -> str:
        reasons = "; ".join(self.reasons)
        pair = f"{shorten(self.model)} on {shorten(self.device)}: {self.verdict}"
        return f"{pair} ({reasons})" if reasons else pair


def fits(
    catalog: Catalog,
    *,
    model: str | None = None,
    device: str | None = None,
    wishes: Wishes | None = None,
) -> list[Match]:
    """Match one model with all devices, one device with all models, or one with one.

    Args:
        catalog: where both are described.
        model: IRI, digest or name.
        device: IRI or name.
        wishes: what else must hold.

    Returns:
        Best first: trains, runs, does not; then by how few conditions fail, and by the share of
        the arena that stays free.

    Raises:
        UsageError: neither is given, or one is not in the catalogue.
    """
    if model is None and device is None:
        raise UsageError("matching needs a model, a device, or both.", hint="model=… or device=…")
    models = _chosen(catalog, model, "Model")
    devices = _chosen(catalog, device, "Device")
    asked = wishes or Wishes()
    matches = [
        Match(m, d, tuple(conditions(needs, has, asked)))
        for m, needs in models.items()
        for d, has in devices.items()
    ]
    return sorted(matches, key=_rank)


def _chosen(catalog: Catalog, name: str | None, kind: str) -> dict[str, Described]:
    if name is None:
        return described(catalog.store, kind)
    iri = (resolve.model if kind == "Model" else resolve.device)(catalog.store, name)
    found = described(catalog.store, kind, iri)
    if not found:
        raise UsageError(
            f"{shorten(iri)} is no {kind.lower()} in the catalogue.", hint="put it there"
        )
    return found


def _rank(match: Match) -> tuple[bool, bool, int, float, str, str]:
    arena = next(c for c in match.conditions if c.name == "RAM to predict, bytes")
    used = 1.0
    if isinstance(arena.needed, int) and isinstance(arena.available, int) and arena.available:
        used = arena.needed / arena.available
    failed = len(match.reasons)
    return (not match.trains, not match.runs, failed, used, match.model, match.device)
