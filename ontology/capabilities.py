"""The S3N and SSN view: memory of devices, needs of models as capability nodes; out and in.

The catalogue keeps flat integers; this is the shape in which others publish the same facts, in kB
of 1000 bytes: a smart sensor has a microcontroller whose capability has system properties, and a
network has procedure features that hold under conditions.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import UsageError
from ontology.describe.needs import INTERPRETER
from ontology.described import Described, described
from ontology.namespaces import DCAT, NNET, RDF, SOSA, SSN, TD, TF, XSD
from ontology.ntriples import line_of
from ontology.published.faults import repaired
from ontology.published.graph import Graph
from ontology.published.read import KILO, boards_in, models_in
from ontology.published.records import Board, PublishedModel
from ontology.published.words import (
    OM,
    PLATFORM,
    S3N,
    S3N_EXTEND,
    SCHEMA_ORG,
    SENSORS,
    SOSA_EXTEND,
    SSN_EXTEND,
    SYSTEMS,
)
from ontology.store import Store
from ontology.terms import Iri, Literal, Triple, literal

if TYPE_CHECKING:
    from ontology.catalog import Catalog

__all__ = ["capability_triples", "import_view", "read_view", "write_view"]

_TYPE = Iri(RDF + "type")
_CLASSES = {word: name for name, word in SENSORS.items()}


def capability_triples(store: Store) -> Iterator[Triple]:
    """The view of everything in a store."""
    for iri, device in described(store, "Device").items():
        yield from _device(Iri(iri), device, store)
    for iri, model in described(store, "Model").items():
        yield from _model(Iri(iri), model)


def write_view(store: Store, path: Path) -> int:
    """Write the view as N-Triples, which is also Turtle; gives how many triples."""
    lines = sorted({line_of(triple) for triple in capability_triples(store)})
    path.write_text("".join(lines), encoding="utf-8")
    return len(lines)


def read_view(text: str, name: str) -> tuple[tuple[Board, ...], tuple[PublishedModel, ...]]:
    """Boards and models of a Turtle text in the view's shape.

    Raises:
        MissingExtra: pyoxigraph is not installed.
        UsageError: the text is no Turtle.
    """
    graph = Graph(repaired(text), name)
    return boards_in(graph), models_in(graph)


def import_view(catalog: "Catalog", path: Path) -> tuple[list[str], list[str]]:
    """Put what a file in the view's shape says into a catalogue.

    Returns:
        IRIs of the models and of the devices.

    Raises:
        UsageError: it is no Turtle.
    """
    from ontology.published.describe import board_description, put_published

    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UsageError(
            f"{path} is no text; Turtle in the view's shape is imported.",
            hint="tinyfleet catalog describe FILE --add, for a model file",
        ) from None
    boards, models = read_view(text, path.name)
    put = [put_published(catalog, model, None, model.iri) for model in models]
    return put, [str(catalog.put_thing(board_description(board))) for board in boards]


def _device(iri: Iri, device: Described, store: Store) -> Iterator[Triple]:
    title = next(iter(store.match(iri, TD + "title")), None)
    yield Triple(iri, _TYPE, Iri(S3N + "SmartSensor"))
    if title:
        yield Triple(iri, Iri(TD + "title"), title.object)
    for word in device.senses:
        yield from _part(iri, f"sensor/{word}", _class_of(word))
    sizes = (("Flash", TF + "slotBytes"), ("RAM", TF + "arenaBytes"))
    known = {kind: device.integer(name) for kind, name in sizes}
    yield from _part(iri, "mcu", S3N + "MicroController")
    mcu, capability = Iri(f"{iri}#view/mcu"), Iri(f"{iri}#view/capability")
    yield Triple(mcu, Iri(SYSTEMS + "hasSystemCapability"), capability)
    for kind, size in known.items():
        if size is not None:
            node = Iri(f"{iri}#view/{kind.lower()}")
            yield Triple(capability, Iri(SYSTEMS + "hasSystemProperty"), node)
            yield from _memory(node, kind, "value", size)


def _class_of(word: str) -> str:
    return SOSA_EXTEND + _CLASSES[word] if word in _CLASSES else SOSA + "Sensor"


def _part(iri: Iri, name: str, kind: str) -> Iterator[Triple]:
    """A subsystem, under the 2023 property and under the one that S3N builds on."""
    node = Iri(f"{iri}#view/{name}")
    for namespace in (SOSA, SSN):
        yield Triple(iri, Iri(namespace + "hasSubSystem"), node)
    yield Triple(node, _TYPE, Iri(kind))


def _memory(node: Iri, kind: str, how: str, size: int) -> Iterator[Triple]:
    kilobytes = Literal(f"{Decimal(size) / KILO:f}", XSD + "decimal")
    yield Triple(node, _TYPE, Iri(S3N_EXTEND + kind))
    yield Triple(node, _TYPE, Iri(S3N + "Memory"))
    yield Triple(node, Iri(SCHEMA_ORG + how), kilobytes)
    yield Triple(node, Iri(SCHEMA_ORG + "unitCode"), Iri(OM + "kilobyte"))


def _model(iri: Iri, model: Described) -> Iterator[Triple]:
    yield Triple(iri, _TYPE, Iri(NNET + "NeuralNetwork"))
    titles = model.texts("http://purl.org/dc/terms/title")
    yield from (Triple(iri, Iri(SCHEMA_ORG + "name"), literal(title)) for title in titles)
    if INTERPRETER in model.texts(TF + "runtime"):
        yield Triple(iri, Iri(SCHEMA_ORG + "runtimePlatform"), literal(PLATFORM))
    macs = model.integer(NNET + "hasMultiplyAccumulateOps")
    if macs is not None:
        yield Triple(iri, Iri(NNET + "hasMultiplyAccumulateOps"), literal(macs))
    arena = model.integer(TF + "interpreterBytes") or model.integer(TF + "inferenceBytes")
    for kind, size in (("Flash", model.integer(DCAT + "byteSize")), ("RAM", arena)):
        if size is not None:
            feature, node = (Iri(f"{iri}#view/{kind.lower()}{end}") for end in ("", "/condition"))
            yield Triple(iri, Iri(S3N + "hasProcedureFeature"), feature)
            yield Triple(feature, _TYPE, Iri(S3N + "ProcedureFeature"))
            yield Triple(feature, Iri(SYSTEMS + "inCondition"), node)
            yield from _memory(node, kind, "minValue", size)
    yield from _fed(iri, model.texts(TF + "needsSensor"))


def _fed(iri: Iri, sensors: Iterable[str]) -> Iterator[Triple]:
    entry = Iri(f"{iri}#view/input")
    for namespace in (SOSA, SSN):
        yield Triple(iri, Iri(namespace + "hasInput"), entry)
    yield Triple(entry, _TYPE, Iri(NNET + "NetworkInput"))
    for word in sensors:
        node = Iri(f"{iri}#view/sensor/{word}")
        yield Triple(node, _TYPE, Iri(_class_of(word)))
        yield Triple(node, Iri(SSN_EXTEND + "provideInput"), entry)
