"""What the catalogue is told of exported files."""

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from edge.artifact import Artifact
from ontology.catalog import Catalog
from server.conversions import register
from server.export.wanted import Wanted
from server.exporting import export_file
from server.keeper import Keeper
from server.models import FOLDER


def test_every_file_but_a_header_is_a_conversion_of_its_model(tmp_path) -> None:
    model = Artifact((FOLDER / "sine.tflite").read_bytes())
    wanted = Wanted(("tflite", "onnx", "c"), ("float32", "int8"))
    files = export_file(FOLDER / "sine.tflite", tmp_path, wanted)
    with Catalog.open() as catalog:
        with Keeper(catalog, site="lab") as keeper:
            keeper.started(model, name="wave", task="sine")
            register(keeper, files, model, name="wave", task="sine")
        named = {
            file.file: [
                row["name"]
                for row in catalog.query(
                    f"SELECT ?name {{ <urn:sha256:{file.sha256}> rdfs:label ?name ;"
                    f" prov:wasDerivedFrom <urn:sha256:{model.sha256}> }}"
                )
            ]
            for file in files
        }
    assert named == {
        "model.f32.tflite": ["wave-float32"],
        "model.int8.tflite": ["wave-int8"],
        "model.f32.onnx": ["wave-float32-onnx"],
        "model.int8.onnx": ["wave-int8-onnx"],
        "model.f32.h": [],
        "model.int8.h": [],
    }
