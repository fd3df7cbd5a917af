"""Devices and models with what is stated of them, read a property at a time for all of them."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from ontology.namespaces import DCAT, DCT, NNET, RDF, SOSA, TF
from ontology.store import Store
from ontology.terms import Iri, Literal, Term, python

__all__ = ["Described", "described"]

_OF_MODELS = (
    TF + "runtime", TF + "operator", TF + "dataType", TF + "needsSensor", TF + "inferenceBytes",
    TF + "interpreterBytes", TF + "trainingBytes", NNET + "hasMultiplyAccumulateOps",
    DCAT + "byteSize", DCT + "license",
    DCT + "title",
)  # fmt: skip
_OF_DEVICES = (
    TF + "executes", TF + "connectivity", TF + "core", TF + "clockHz", TF + "slotBytes",
    TF + "arenaBytes",
)  # fmt: skip
_OF_COSTS = (TF + "core", TF + "inferenceInstructions", TF + "trainingInstructions")


@dataclass
class Described:
    """What is stated of one thing.

    Args:
        facts: values by property IRI.
        senses: what a device's sensors observe.
        costs: instructions of a model, by core.
    """

    facts: dict[str, list[Term]] = field(default_factory=dict)
    senses: list[str] = field(default_factory=list)
    costs: list["Described"] = field(default_factory=list)

    def texts(self, predicate: str) -> list[str]:
        """The texts that a property has."""
        return [v.text for v in self.facts.get(predicate, ()) if isinstance(v, Literal)]

    def iris(self, predicate: str) -> list[str]:
        """The IRIs that a property has."""
        return [str(v) for v in self.facts.get(predicate, ()) if isinstance(v, Iri)]

    def integer(self, predicate: str) -> int | None:
        """The number that a property has; None where it is unknown."""
        values = self.facts.get(predicate, [])
        return int(python(values[0])) if values and isinstance(values[0], Literal) else None


def described(store: Store, kind: str, only: str | None = None) -> dict[str, Described]:
    """All things of a kind, or only one, with what matching needs of them.

    Args:
        store: where they are described.
        kind: `Model` or `Device`.
        only: IRI of the one; it need not be of the kind, and then is not there.
    """
    of_kind = store.match(only, RDF + "type", Iri(TF + kind))
    found: dict[str, Described] = {t.subject: Described() for t in sorted(of_kind)}
    for predicate in _OF_MODELS if kind == "Model" else _OF_DEVICES:
        for subject, _, value in store.match(only, predicate):
            if subject in found:
                found[subject].facts.setdefault(predicate, []).append(value)
    part = TF + "cost" if kind == "Model" else SOSA + "hosts"
    parts: dict[str, list[str]] = defaultdict(list)
    for subject, _, value in store.match(only, part):
        parts[subject].append(str(value))
    if kind == "Model":
        for iri, nodes in parts.items():
            if iri in found:
                found[iri].costs = [_cost(store, node) for node in sorted(nodes)]
    else:
        _senses(store, found, parts, alone=only is not None)
    return found


def _cost(store: Store, node: str) -> Described:
    facts: dict[str, list[Term]] = {}
    for _, predicate, value in store.match(node):
        if predicate in _OF_COSTS:
            facts.setdefault(predicate, []).append(value)
    return Described(facts)


def _senses(
    store: Store, found: dict[str, Described], parts: dict[str, list[str]], *, alone: bool
) -> None:
    wanted: Iterable[str | None] = (
        [n for nodes in parts.values() for n in nodes] if alone else [None]
    )
    senses: dict[str, list[str]] = defaultdict(list)
    for node in wanted:
        for subject, _, value in store.match(node, TF + "senses"):
            if isinstance(value, Literal):
                senses[subject].append(value.text)
    for iri, nodes in parts.items():
        if iri in found:
            found[iri].senses = sorted({name for node in nodes for name in senses[node]})
