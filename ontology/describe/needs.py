"""What a model needs beyond its file: sensors, an interpreter's arena, instructions, a licence."""

from collections.abc import Iterator
from dataclasses import dataclass

from ontology.namespaces import DCT, NNET, RDF, SCHEMA, TF
from ontology.terms import Iri, Triple, is_iri, literal

__all__ = ["INTERPRETER", "KEPT", "Cost", "Needs", "needs_triples"]

INTERPRETER = "tflite-micro"
"""Name of the runtime TensorFlow Lite Micro, in `tf:runtime` and `tf:executes`."""
LICENCES = "http://spdx.org/licenses/"
KEPT = frozenset(
    {
        TF + "needsSensor", TF + "interpreterBytes", DCT + "license",
        NNET + "hasCategory", NNET + "trainingDataset", DCT + "source", DCT + "description",
        SCHEMA + "creator",
    }
)  # fmt: skip
"""Properties that stay when a file is described again without them."""


@dataclass(frozen=True)
class Cost:
    """Instructions that were counted on one core; None: not counted."""

    core: str
    inference: int | None = None
    training: int | None = None


@dataclass(frozen=True, kw_only=True)
class Needs:
    """Requirements of a model; None and empty mean unknown, and are not written.

    Args:
        sensors: what must be sensed, such as `accelerometer`.
        interpreter_bytes: arena of TensorFlow Lite Micro to predict.
        runtimes: names of runtimes that execute it, beside those that the file tells.
        licence: SPDX identifier, such as `Apache-2.0`.
        costs: instructions counted, by core.
        category: a category of the neural-network schema, such as `Classification`.
        dataset: address of the data it was trained with.
        source: address of its page.
        description: for people.
        creator: who made it.
    """

    sensors: tuple[str, ...] = ()
    interpreter_bytes: int | None = None
    runtimes: tuple[str, ...] = ()
    licence: str | None = None
    costs: tuple[Cost, ...] = ()
    category: str | None = None
    dataset: str | None = None
    source: str | None = None
    description: str | None = None
    creator: str | None = None


def needs_triples(model: Iri, needs: Needs) -> Iterator[Triple]:
    """The triples of what a model needs."""
    for name, values in (("needsSensor", needs.sensors), ("runtime", needs.runtimes)):
        for value in values:
            yield Triple(model, Iri(TF + name), literal(value))
    if needs.interpreter_bytes is not None:
        yield Triple(model, Iri(TF + "interpreterBytes"), literal(needs.interpreter_bytes))
    links = {
        DCT + "license": needs.licence and LICENCES + needs.licence,
        NNET + "hasCategory": needs.category and NNET + needs.category,
        NNET + "trainingDataset": needs.dataset,
        DCT + "source": needs.source,
    }
    for predicate, target in links.items():
        if target and is_iri(target):
            yield Triple(model, Iri(predicate), Iri(target))
    for predicate, text in (
        (DCT + "description", needs.description),
        (SCHEMA + "creator", needs.creator),
    ):
        if text:
            yield Triple(model, Iri(predicate), literal(text))
    for cost in needs.costs:
        yield from _cost(model, cost)


def _cost(model: Iri, cost: Cost) -> Iterator[Triple]:
    node = Iri(f"{model}#cost/{cost.core}")
    yield Triple(model, Iri(TF + "cost"), node)
    yield Triple(node, Iri(RDF + "type"), Iri(TF + "Cost"))
    yield Triple(node, Iri(TF + "core"), literal(cost.core))
    for name, count in (("inference", cost.inference), ("training", cost.training)):
        if count is not None:
            yield Triple(node, Iri(f"{TF}{name}Instructions"), literal(count))
