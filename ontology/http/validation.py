"""Whether a description may come in: the JSON schema of things, and the SHACL shapes of devices."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

from edge.errors import UsageError
from ontology.describe import thing_triples
from ontology.namespaces import RDF, TF, shorten
from ontology.terms import Iri, Literal, Triple

__all__ = ["checked", "faults_of"]

SHAPES = Path(__file__).parent.parent / "shapes"
MAX_FAULTS = 20
_DEVICE = Iri(TF + "Device")
_SH = "http://www.w3.org/ns/shacl#"
_HOLDING = Lock()


def faults_of(description: Mapping[str, Any]) -> list[dict[str, str]]:
    """What is wrong with a Thing Description: `field`, a JSON pointer, and `description`."""
    return checked(description)[1]


def checked(description: Mapping[str, Any]) -> tuple[list[Triple], list[dict[str, str]]]:
    """The triples of a Thing Description, and what is wrong with it, as `faults_of` says.

    Nothing is fetched: remote contexts are neither needed nor read. SHACL holds for what says of
    itself that it is a `tf:Device`.
    """
    try:
        errors = sorted(
            _schema().iter_errors(description), key=lambda e: list(map(str, e.instance_path))
        )
    except ValueError as error:
        return [], [{"field": "(root)", "description": str(error)[:300]}]
    found = [
        {"field": _pointer(error.instance_path), "description": error.message[:300]}
        for error in errors
    ]
    if found:
        return [], found[:MAX_FAULTS]
    plain = {key: value for key, value in description.items() if key != "registration"}
    try:
        triples = thing_triples(plain)
    except UsageError as error:
        return [], [{"field": "(root)", "description": str(error)}]
    if not any(t.object == _DEVICE and t.predicate == RDF + "type" for t in triples):
        return triples, []
    return triples, _shape_faults(triples)[:MAX_FAULTS]


@cache
def _schema() -> Any:
    import jsonschema_rs

    return jsonschema_rs.validator_for((SHAPES / "thing.schema.json").read_text())


@cache
def _shapes() -> Any:
    import rdflib

    return rdflib.Graph().parse(SHAPES / "device.ttl")


@cache
def _validator() -> Any:
    """Reads the shapes once and holds one graph after another against them."""
    import pyshacl
    import rdflib
    from pyshacl.graph_abstraction import DataGraph

    class Holding(pyshacl.Validator):  # type: ignore[misc]
        def held(self, graph: Any) -> Any:
            self._target_graph = DataGraph.from_rdflib_graph(graph)
            return self.run()[1]

    empty = DataGraph.from_rdflib_graph(rdflib.Graph())
    return Holding(empty, shacl_graph=_shapes(), options={"inplace": True})


@cache
def _shaped() -> frozenset[str]:
    """The properties that the shapes speak of; the affordances of a thing are none of them."""
    import rdflib

    paths = _shapes().objects(None, rdflib.URIRef(_SH + "path"))
    return frozenset({RDF + "type", *map(str, paths)})


def _shape_faults(triples: list[Triple]) -> list[dict[str, str]]:
    import rdflib

    graph = rdflib.Graph(bind_namespaces="none")
    for subject, predicate, value in triples:
        if predicate in _shaped() and "#" not in subject:
            term = (
                rdflib.Literal(value.text, datatype=rdflib.URIRef(value.datatype))
                if isinstance(value, Literal)
                else rdflib.URIRef(value)
            )
            graph.add((rdflib.URIRef(subject), rdflib.URIRef(predicate), term))
    with _HOLDING:
        report = _validator().held(graph)
    found = []
    for result in report.subjects(rdflib.RDF.type, rdflib.URIRef(_SH + "ValidationResult")):
        path = report.value(result, rdflib.URIRef(_SH + "resultPath"))
        said = report.value(result, rdflib.URIRef(_SH + "resultMessage"))
        found.append({"field": f"/{shorten(str(path))}", "description": str(said)})
    return sorted(found, key=lambda fault: fault["field"])


def _pointer(path: Any) -> str:
    """A JSON pointer (RFC 6901); the root has a name."""
    parts = [str(part).replace("~", "~0").replace("/", "~1") for part in path]
    return "".join(f"/{part}" for part in parts) or "(root)"
