"""Whether a description may come in: the JSON schema of things, and the SHACL shapes of devices."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from edge.errors import UsageError
from ontology.capacity import capacity_triples
from ontology.describe import thing_triples
from ontology.namespaces import RDF, TF, shorten
from ontology.terms import Iri, Triple, written

__all__ = ["faults_of"]

SHAPES = Path(__file__).parent.parent / "shapes"
MAX_FAULTS = 20
_DEVICE = Iri(TF + "Device")
_SH = "http://www.w3.org/ns/shacl#"


def faults_of(description: Mapping[str, Any]) -> list[dict[str, str]]:
    """What is wrong with a Thing Description: `field`, a JSON pointer, and `description`.

    Nothing is fetched: remote contexts are neither needed nor read. SHACL holds for what says of
    itself that it is a `tf:Device`.
    """
    found = [
        {"field": _pointer(error.absolute_path), "description": error.message[:300]}
        for error in sorted(
            _schema().iter_errors(description), key=lambda e: list(map(str, e.path))
        )
    ]
    if found:
        return found[:MAX_FAULTS]
    try:
        plain = {key: value for key, value in description.items() if key != "registration"}
        triples = thing_triples(plain)
    except UsageError as error:
        return [{"field": "(root)", "description": str(error)}]
    if not any(t.object == _DEVICE and t.predicate == RDF + "type" for t in triples):
        return []
    return _shape_faults(triples)[:MAX_FAULTS]


@cache
def _schema() -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads((SHAPES / "thing.schema.json").read_text()))


@cache
def _shapes() -> Any:
    import rdflib

    return rdflib.Graph().parse(SHAPES / "device.ttl")


def _shape_faults(triples: list[Triple]) -> list[dict[str, str]]:
    import pyshacl
    import rdflib

    device = triples[0].subject
    about = [t for t in triples if t.subject == device or "#" not in t.subject]
    graph = rdflib.Graph()
    lines = (" ".join(map(written, t)) for t in [*about, *capacity_triples(device, triples)])
    graph.parse(data="".join(f"{line} .\n" for line in lines), format="nt")
    _, report, _ = pyshacl.validate(graph, shacl_graph=_shapes(), inplace=True)
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
