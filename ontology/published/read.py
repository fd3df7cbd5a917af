"""Read the folder of the published catalogue: records, and its faults line by line."""

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from edge.errors import UsageError
from ontology.namespaces import NNET, RDF, SSN, TD
from ontology.published.faults import Fault, find_faults, repaired
from ontology.published.graph import Graph
from ontology.published.records import Affordance, Board, Published, PublishedModel
from ontology.published.words import OPERATORS, S3N, S3N_EXTEND, SCHEMA_ORG, SENSORS, SYSTEMS

__all__ = ["KILO", "boards_in", "models_in", "read"]

KILO = 1000
"""Bytes of its kB: the flash of every model is then the size of its file."""
_TYPE = RDF + "type"
_SSN_EXTEND = NNET[:-1] + "/ssn_extend/"


def read(folder: Path) -> Published:
    """Read `models.ttl` and `devices/*.ttl`; `schema/*.ttl` says which terms exist.

    Raises:
        MissingExtra: pyoxigraph is not installed.
        UsageError: the folder has no such files, or one is no Turtle.
    """
    source, boards = folder / "models.ttl", sorted((folder / "devices").glob("*.ttl"))
    if not source.is_file() or not boards:
        raise UsageError(
            f"{folder} is no published catalogue: models.ttl or devices/*.ttl is missing.",
            hint="the folder that holds both",
        )
    defined = frozenset(
        term
        for path in sorted((folder / "schema").glob("*.ttl"))
        for term in Graph(path.read_text(), path.name).subjects()
    )
    faults: list[Fault] = []
    for path in (source, *boards):
        faults += find_faults(path.relative_to(folder).as_posix(), path.read_text(), defined)
    graph = Graph(repaired(source.read_text()), source.name)
    models = models_in(graph)
    found = tuple(board for path in boards for board in _boards(path))
    faults += _shared_addresses(folder, boards, found)
    return Published(models, found, tuple(sorted(faults)))


def models_in(graph: Graph) -> tuple[PublishedModel, ...]:
    """The models of a graph, by name."""
    found = [_model(graph, iri) for iri in graph.of_type(NNET + "NeuralNetwork")]
    return tuple(sorted(found, key=lambda model: model.name))


def _model(graph: Graph, iri: str) -> PublishedModel:
    def said(name: str) -> str | None:
        found = graph.one(iri, SCHEMA_ORG + name)
        return None if found is None else str(found)

    macs = graph.one(iri, NNET + "hasMultiplyAccumulateOps")
    category = str(graph.one(iri, NNET + "hasCategory") or "").rpartition("#")[2]
    metric = graph.one(iri, NNET + "hasMetric") or ""
    percent = graph.one(metric, NNET + "hasMetricValue")
    top1 = NNET + "Top_1_accuracy" in graph.all(metric, _TYPE)
    fed, fills = graph.one(iri, SSN + "hasInput") or "", graph.one(iri, SSN + "hasOutput") or ""
    return PublishedModel(
        iri=iri,
        name=said("name") or iri.rpartition("/")[2],
        description=said("description"),
        category=None if category in ("", "OtherCategory") else category,
        creator=said("creator"),
        created=said("dateCreated"),
        dataset=graph.one(iri, NNET + "trainingDataset"),
        source=said("citation"),
        runtime=said("runtimePlatform"),
        macs=round(macs) if macs else None,
        flash=_need(graph, iri, "Flash"),
        ram=_need(graph, iri, "RAM"),
        accuracy=float(percent) if percent and top1 else None,
        sensors=_sensors(graph, fed),
        input_info=graph.one(fed, NNET + "hasInputInfo"),
        output_info=graph.one(fills, NNET + "hasOutputInfo"),
        operators=tuple(_operators(graph, iri)),
    )


def _need(graph: Graph, model: str, kind: str) -> int | None:
    for feature in graph.all(model, S3N + "hasProcedureFeature"):
        for node in graph.all(feature, SYSTEMS + "inCondition"):
            if S3N_EXTEND + kind in graph.all(node, _TYPE):
                return _bytes(graph.one(node, SCHEMA_ORG + "minValue"))
    return None


def _bytes(kilobytes: float | None) -> int | None:
    return round(kilobytes * KILO) if kilobytes else None


def _sensors(graph: Graph, fed: str) -> tuple[str, ...]:
    feeding = (s for s in graph.subjects() if fed in graph.all(s, _SSN_EXTEND + "provideInput"))
    kinds = (k.rpartition("/")[2] for s in feeding for k in graph.all(s, _TYPE))
    return tuple(sorted({SENSORS[kind] for kind in kinds if kind in SENSORS}))


def _operators(graph: Graph, model: str) -> Iterator[str]:
    """Input, middle and output layers; the number in a middle layer's name is its place."""
    middle = graph.all(model, NNET + "middleLayer")
    middle.sort(key=_place)
    ends = [graph.all(model, NNET + name) for name in ("inputLayer", "outputLayer")]
    for layer in (*ends[0], *middle, *ends[1]):
        kind = str(graph.one(layer, NNET + "hasType") or "").rpartition("#")[2]
        yield OPERATORS.get(kind, kind.upper())


def _place(layer: str) -> int:
    found = re.search(r"middleLayer_(\d+)_", layer)
    return int(found[1]) if found else 0


def _boards(path: Path) -> tuple[Board, ...]:
    return boards_in(Graph(repaired(path.read_text()), path.name))


def boards_in(graph: Graph) -> tuple[Board, ...]:
    """The boards of a graph, by IRI."""
    return tuple(_each_board(graph))


def _each_board(graph: Graph) -> Iterator[Board]:
    for iri in graph.of_type(S3N + "SmartSensor"):
        parts = graph.all(iri, SSN + "hasSubSystem")
        kinds = (k.rpartition("/")[2] for part in parts for k in graph.all(part, _TYPE))
        yield Board(
            iri=iri,
            title=graph.one(iri, TD + "title") or iri.rpartition("/")[2],
            description=graph.one(iri, TD + "description") or "",
            sensors=tuple(sorted({SENSORS[kind] for kind in kinds if kind in SENSORS})),
            flash=_free(graph, parts, "Flash"),
            ram=_free(graph, parts, "RAM"),
            properties=tuple(
                _affordance(graph, node) for node in graph.all(iri, TD + "hasPropertyAffordance")
            ),
        )


def _free(graph: Graph, parts: list[str], kind: str) -> int | None:
    for part in parts:
        named = (graph.all(part, space + "hasSystemCapability") for space in (SYSTEMS, S3N))
        for capability in chain.from_iterable(named):
            for node in graph.all(capability, SYSTEMS + "hasSystemProperty"):
                if S3N_EXTEND + kind in graph.all(node, _TYPE):
                    return _bytes(graph.one(node, SCHEMA_ORG + "value"))
    return None


def _affordance(graph: Graph, node: str) -> Affordance:
    form = graph.one(node, TD + "hasForm") or ""
    return Affordance(
        name=(graph.one(node, TD + "title") or "value").lower(),
        description=graph.one(node, TD + "description") or "",
        kind=graph.one(node, TD + "type") or "number",
        unit=graph.one(node, TD + "unit"),
        low=graph.one(node, TD + "minimum"),
        high=graph.one(node, TD + "maximum"),
        href=graph.one(form, TD + "href") or "",
        operations=tuple(sorted(graph.all(form, TD + "op"))),
    )


def _shared_addresses(
    folder: Path, paths: list[Path], boards: tuple[Board, ...]
) -> Iterator[Fault]:
    """Addresses under the IRI of another board."""
    for path in paths:
        mine = _boards(path)[0].iri
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for board in boards:
                if board.iri != mine and f"{board.iri}/" in line:
                    what = f"an address of {board.title} stands in the description of another board"
                    file = path.relative_to(folder).as_posix()
                    yield Fault(file, number, "shared-address", what, "kept as it is")
