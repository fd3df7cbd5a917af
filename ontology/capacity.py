"""Devices of the same memory share a capacity: a model is compared once with all of them."""

from collections.abc import Iterable

from ontology.describe.model import LEARNER
from ontology.namespaces import DEVICE_PREFIX, RDF, TF
from ontology.terms import Iri, Literal, Triple, literal

__all__ = ["CAPACITY", "capacity_triples"]

CAPACITY = Iri(TF + "capacity")
_SIZES = (TF + "slotBytes", TF + "arenaBytes")


def capacity_triples(device: Iri, facts: Iterable[Triple]) -> list[Triple]:
    """The capacity of a device and what it holds.

    Nothing where a size is unknown, or where the device has another runtime than the learner.

    Args:
        device: its IRI.
        facts: triples that state what it executes (nothing means `tinylearn`),
            `tf:slotBytes` and `tf:arenaBytes` of it.
    """
    facts = list(facts)
    runs = {t.object for t in facts if t.subject == device and t.predicate == TF + "executes"}
    if runs and literal(LEARNER) not in runs:
        return []
    stated = {t.predicate: t.object for t in facts if t.subject == device and t.predicate in _SIZES}
    sizes = [stated.get(Iri(size)) for size in _SIZES]
    texts = [size.text for size in sizes if isinstance(size, Literal) and size.text.isdigit()]
    if len(texts) < len(_SIZES):
        return []
    slot, arena = map(int, texts)
    shared = Iri(f"{DEVICE_PREFIX}capacity:{slot}:{arena}")
    return [
        Triple(device, CAPACITY, shared),
        Triple(shared, Iri(RDF + "type"), Iri(TF + "Capacity")),
        Triple(shared, Iri(TF + "capacitySlot"), literal(slot)),
        Triple(shared, Iri(TF + "capacityArena"), literal(arena)),
    ]
