"""Every term of ours that is written is defined, and all shapes hold on what is written."""

import importlib.util
from pathlib import Path

import pyshacl
import pytest
import rdflib
from rdflib.namespace import OWL, RDF, RDFS

import ontology
from edge.artifact import Artifact
from ontology.capabilities import capability_triples
from ontology.catalog import Catalog
from ontology.describe.metrics import Measurement
from ontology.describe.needs import Cost, Needs
from ontology.migration import migrate
from ontology.named import named_queries
from ontology.namespaces import NNET, TF
from ontology.ntriples import line_of
from ontology.outbox import Outbox
from ontology.published.describe import import_published
from tests.edge.convnets import everything
from tests.edge.zoo import model
from tests.ontology.standard_terms import standard_terms
from tests.ontology.test_published import FOLDER as PUBLISHED

FOLDER = Path(ontology.__file__).parent


def load(folder: str) -> rdflib.Graph:
    graph = rdflib.Graph()
    for path in sorted((FOLDER / folder).glob("*.ttl")):
        graph.parse(path)
    return graph


def ours(graph: rdflib.Graph) -> set[str]:
    return {str(t) for triple in graph for t in triple if str(t).startswith(TF) and str(t) != TF}


@pytest.fixture(scope="module")
def vocabulary() -> rdflib.Graph:
    return load("vocabulary")


def defined(vocabulary: rdflib.Graph) -> set[str]:
    kinds = (OWL.Class, OWL.DatatypeProperty, OWL.ObjectProperty)
    return {str(s) for kind in kinds for s in vocabulary.subjects(RDF.type, kind)} - {""}


def test_every_term_is_documented(vocabulary: rdflib.Graph) -> None:
    terms = defined(vocabulary)
    assert ours(vocabulary) == {t for t in terms if t.startswith(TF)}
    for term in map(rdflib.URIRef, ours(vocabulary)):
        assert vocabulary.value(term, RDFS.label) and vocabulary.value(term, RDFS.comment), term
        if (term, RDF.type, OWL.Class) not in vocabulary:
            assert vocabulary.value(term, RDFS.domain) and vocabulary.value(term, RDFS.range), term


def undefined(graph: rdflib.Graph, vocabulary: rdflib.Graph) -> set[str]:
    """Terms, ours or of a standard that we know, that nobody defines."""
    known = standard_terms()
    known[TF] = defined(vocabulary)
    used = {str(t) for _, p, o in graph for t in (p, o) if isinstance(t, rdflib.URIRef)}
    longest = sorted(known, key=len)  # the last that fits is the nearest
    spaces = {t: space for t in used for space in longest if t.startswith(space) and t != space}
    return {term for term, space in spaces.items() if term not in known[space]}


def all_kinds(catalog: Catalog) -> rdflib.Graph:
    """Everything that anything of ours writes: facts of every kind, and the view for others."""
    safe = {"securityDefinitions": {"o": {"scheme": "nosec"}}, "security": "o"}
    catalog.put_thing({"id": "urn:x:open", "title": "open", **safe})
    measured = {"accuracy": Measurement(value=1, dataset="d", split="s", low=0, high=1, count=3)}
    needs = Needs(
        sensors=("camera",), interpreter_bytes=1, licence="MIT", category="Classification",
        costs=(Cost("cortex-m4f", 1, 2),), dataset="urn:d", source="urn:s", creator="c",
        description="d",
    )  # fmt: skip
    artifact = Artifact(model(everything()))
    catalog.put_model(artifact, name="everything", metrics=measured, needs=needs)
    Outbox(catalog).order(artifact.sha256, ["nano-1"])
    if PUBLISHED.is_dir():
        import_published(catalog, PUBLISHED)
    migrate(catalog.store)
    text = catalog.dump() + "".join(map(line_of, capability_triples(catalog.store)))
    return rdflib.Graph().parse(data=text, format="nt")


def test_nothing_undefined_is_written(catalog: Catalog, vocabulary: rdflib.Graph) -> None:
    written = all_kinds(catalog)
    assert len(ours(written)) > 60 and undefined(written, vocabulary) == set()


def test_every_class_and_property_of_ours_is_written_somewhere(
    catalog: Catalog, vocabulary: rdflib.Graph
) -> None:
    unused = {t for t in defined(vocabulary) if t.startswith(TF)} - ours(all_kinds(catalog))
    assert unused <= {TF + "connectivity", TF + "Catalog", TF + "confidenceLevel"}


def test_the_vocabulary_uses_terms_that_others_define(vocabulary: rdflib.Graph) -> None:
    assert undefined(vocabulary, vocabulary) == set()


def test_every_class_has_a_shape(vocabulary: rdflib.Graph) -> None:
    target = rdflib.URIRef("http://www.w3.org/ns/shacl#targetClass")
    shaped = {str(o) for o in load("shapes").objects(None, target)}
    classes = {str(s) for s in vocabulary.subjects(RDF.type, OWL.Class) if str(s).startswith(TF)}
    assert classes <= shaped


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="the published catalogue is not here")
def test_the_schema_of_networks_is_as_we_list_it() -> None:
    schema = rdflib.Graph().parse(PUBLISHED / "schema" / "network_schema.ttl")
    there = {str(s) for s in schema.subjects() if str(s).startswith(NNET) and str(s) != NNET}
    assert there == standard_terms()[NNET]


def test_queries_and_shapes_use_defined_terms(vocabulary: rdflib.Graph) -> None:
    shapes = {t for t in ours(load("shapes")) if not t.endswith("Shape")}
    assert shapes <= defined(vocabulary)
    for query in named_queries().values():
        words = query.text.replace("(", " ").replace("*", " ").replace("?", " ").split()
        used = {TF + w.removeprefix("tf:") for w in words if w.startswith("tf:") and w != "tf:"}
        assert used <= defined(vocabulary), query.name


def conforms(data: rdflib.Graph) -> tuple[bool, str]:
    holds, _, text = pyshacl.validate(data, shacl_graph=load("shapes"))
    return bool(holds), str(text)


def test_what_is_written_conforms(catalog: Catalog) -> None:
    holds, text = conforms(rdflib.Graph().parse(data=catalog.dump(), format="nt"))
    assert holds, text


@pytest.mark.parametrize(
    ("kind", "predicate"),
    [("Device", "arenaBytes"), ("Round", "strategy"), ("Deployment", "deployedTo")],
)
def test_shapes_notice_what_is_missing(catalog: Catalog, kind: str, predicate: str) -> None:
    data = rdflib.Graph().parse(data=catalog.dump(), format="nt")
    subject = next(data.subjects(RDF.type, rdflib.URIRef(TF + kind)))
    data.remove((subject, rdflib.URIRef(TF + predicate), None))
    holds, text = conforms(data)
    assert not holds and predicate in text


def test_unknown_is_absent(catalog: Catalog, sha: dict[str, str]) -> None:
    facts = catalog.facts("urn:sha256:" + sha["alien"])
    assert TF + "inferenceBytes" not in facts and TF + "parameterCount" not in facts
    assert "nan" not in catalog.dump().lower().replace("nano", "")


def test_the_page_is_made_from_the_modules() -> None:
    path = FOLDER.parent / "tools" / "catalogue_reference.py"
    spec = importlib.util.spec_from_file_location("catalogue_reference", path)
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    text = tool.PAGE.read_text()
    assert tool.page(text) == text, "run: python tools/catalogue_reference.py"
