"""What fits where, and why not: every condition with what is needed and what is there."""

from collections.abc import Iterator
from dataclasses import dataclass

from edge.errors import UsageError
from ontology import resolve
from ontology.catalog import Catalog
from ontology.describe.model import LEARNER
from ontology.namespaces import DCAT, RDF, TF, shorten
from ontology.terms import Iri, Literal, Term, python

Facts = dict[str, list[Term]]


@dataclass(frozen=True)
class Condition:
    """One thing that must hold.

    Args:
        name: what is compared.
        needed: what the model needs; None where unknown.
        available: what the device has; None where unknown.
        holds: whether it does; what is unknown does not.
        for_training: whether only training needs it.
        reason: why it fails, where that is no comparison of two values.
    """

    name: str
    needed: int | str | None
    available: int | str | None
    holds: bool
    for_training: bool = False
    reason: str = ""

    def __str__(self) -> str:
        if self.reason:
            return self.reason
        words = ["unknown" if v is None else str(v) for v in (self.needed, self.available)]
        return f"{self.name}: needs {words[0]}, has {words[1]}"


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
    def reasons(self) -> list[str]:
        """Why not, one a failed condition, mostly with both values; empty where it trains."""
        return [str(condition) for condition in self.conditions if not condition.holds]

    def __str__(self) -> str:
        verdict = "trains" if self.trains else "runs" if self.runs else "does not fit"
        reasons = "; ".join(self.reasons)
        pair = f"{shorten(self.model)} on {shorten(self.device)}: {verdict}"
        return f"{pair} ({reasons})" if reasons else pair


def fits(catalog: Catalog, *, model: str | None = None, device: str | None = None) -> list[Match]:
    """Match one model with all devices, one device with all models, or one with one.

    Args:
        catalog: where both are described.
        model: IRI, digest or name.
        device: IRI or name.

    Returns:
        Best first: trains, runs, does not; then by the share of the arena that stays free.

    Raises:
        UsageError: neither is given, or one is not in the catalogue.
    """
    if model is None and device is None:
        raise UsageError("matching needs a model, a device, or both.", hint="model=… or device=…")
    models = _chosen(catalog, model, "Model")
    devices = _chosen(catalog, device, "Device")
    matches = [
        Match(m, d, tuple(_conditions(needs, has)))
        for m, needs in models.items()
        for d, has in devices.items()
    ]
    return sorted(matches, key=_rank)


def _chosen(catalog: Catalog, name: str | None, kind: str) -> dict[str, Facts]:
    if name is None:
        of_kind = catalog.store.match(None, RDF + "type", Iri(TF + kind))
        return {iri: catalog.facts(iri) for iri in sorted(t.subject for t in of_kind)}
    find = resolve.model if kind == "Model" else resolve.device
    iri = find(catalog.store, name)
    facts = catalog.facts(iri)
    if Iri(TF + kind) not in facts.get(RDF + "type", []):
        raise UsageError(
            f"{shorten(iri)} is no {kind.lower()} in the catalogue.", hint="put it there"
        )
    return {iri: facts}


def _rank(match: Match) -> tuple[bool, bool, float, str, str]:
    arena = next(c for c in match.conditions if c.name == "RAM to predict, bytes")
    used = 1.0
    if isinstance(arena.needed, int) and isinstance(arena.available, int) and arena.available:
        used = arena.needed / arena.available
    return (not match.trains, not match.runs, used, match.model, match.device)


def _conditions(needs: Facts, has: Facts) -> Iterator[Condition]:
    runtimes = [v.text for v in needs.get(TF + "runtime", []) if isinstance(v, Literal)]
    operators = [v.text for v in needs.get(TF + "operator", []) if isinstance(v, Literal)]
    asked = ", ".join(sorted(operators)) or None
    yield Condition("operators", asked, f"those of {LEARNER}", LEARNER in runtimes)
    slot, arena = _integer(has, TF + "slotBytes"), _integer(has, TF + "arenaBytes")
    types = [v.text for v in needs.get(TF + "dataType", []) if isinstance(v, Literal)]
    whole = LEARNER in runtimes and "int8" in types
    for name, needed, room, training in (
        ("size of the file, bytes", _integer(needs, DCAT + "byteSize"), slot, False),
        ("RAM to predict, bytes", _integer(needs, TF + "inferenceBytes"), arena, False),
        ("RAM to train, bytes", _integer(needs, TF + "trainingBytes"), arena, True),
    ):
        enough = needed is not None and room is not None and needed <= room
        frozen = "nothing to train: all layers are int8" if training and whole else ""
        yield Condition(name, needed, room, enough, training, "" if enough else frozen)


def _integer(facts: Facts, predicate: str) -> int | None:
    values = facts.get(predicate, [])
    return int(python(values[0])) if values and isinstance(values[0], Literal) else None
