"""Model files that others made are described with defined terms and no invented zeros."""

import os
from pathlib import Path

import pyshacl
import pytest
import rdflib

import ontology
from edge.artifact import Artifact
from ontology.catalog import Catalog
from ontology.describe.model import ModelFacts
from ontology.namespaces import TF

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("TINYFLEET_DATA", ROOT.parent / "shared" / "data"))
FILES = sorted((DATA / "tinyml_catalogue" / "models").glob("*.tflite"))
pytestmark = pytest.mark.skipif(not FILES, reason="the published catalogue is not here")


def test_foreign_files_are_described() -> None:
    folder = Path(ontology.__file__).parent
    with Catalog.open() as catalog:
        for path in FILES:
            catalog.put_model(Artifact(path.read_bytes()), name=path.stem)
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


def test_what_the_learner_runs_has_memory_and_what_it_does_not_has_none() -> None:
    known = {path.stem: ModelFacts.of(Artifact(path.read_bytes())) for path in FILES}
    dense = known["Squats_Counter"]
    assert dense.runtimes == ("tinylearn",) and dense.data_type == "float32"
    assert sum(layer.inputs * layer.outputs for layer in dense.layers) == dense.macs
    biases = sum(layer.outputs for layer in dense.layers)
    assert dense.macs is not None and dense.parameters == dense.macs + biases
    assert dense.training_bytes and dense.inference_bytes
    assert dense.training_bytes > dense.inference_bytes + 4 * dense.parameters - 1
    person = known["Person_Detection"]
    assert person.runtimes == () and person.macs and len(person.layers) == 29
    assert person.inference_bytes is None and person.training_bytes is None
