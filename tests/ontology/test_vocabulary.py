"""Every term of ours that is written is defined, and all shapes hold on what is written."""

from pathlib import Path

import pyshacl
import pytest
import rdflib
from rdflib.namespace import OWL, RDF, RDFS

import ontology
from ontology.catalog import Catalog
from ontology.named import named_queries
from ontology.namespaces import TF

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


def test_nothing_undefined_is_written(catalog: Catalog, vocabulary: rdflib.Graph) -> None:
    written = rdflib.Graph().parse(data=catalog.dump(), format="nt")
    assert ours(written) and ours(written) <= defined(vocabulary)


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
