"""Model files that others made are described with defined terms and no invented zeros."""

import os
from pathlib import Path

import pyshacl
import pytest
import rdflib

import ontology
from ontology.catalog import Catalog
from ontology.namespaces import TF

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("TINYFLEET_DATA", ROOT.parent / "shared" / "data"))
FILES = sorted((DATA / "tinyml_catalogue" / "models").glob("*.tflite"))
artifact = pytest.importorskip("edge.artifact")


@pytest.mark.skipif(not FILES, reason="the published catalogue is not here")
def test_foreign_files_are_described() -> None:
    folder = Path(ontology.__file__).parent
    with Catalog.open() as catalog:
        for path in FILES:
            catalog.put_model(artifact.Artifact(path.read_bytes()), name=path.stem)
        dump = catalog.dump()
    data = rdflib.Graph().parse(data=dump, format="nt")
    models = set(data.subjects(rdflib.RDF.type, rdflib.URIRef(TF + "Model")))
    assert len(models) == len({path.read_bytes() for path in FILES})
    vocabulary, shapes = rdflib.Graph(), rdflib.Graph()
    for graph, name in ((vocabulary, "vocabulary"), (shapes, "shapes")):
        for source in (folder / name).glob("*.ttl"):
            graph.parse(source)
    used = {t for triple in data for t in triple if str(t).startswith(TF)}
    assert used and all((term, rdflib.RDFS.label, None) in vocabulary for term in used)
    assert all((model, rdflib.URIRef(TF + "operator"), None) in data for model in models)
    holds, _, text = pyshacl.validate(data, shacl_graph=shapes)
    assert holds, text
