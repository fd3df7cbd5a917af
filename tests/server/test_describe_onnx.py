"""What is said of an `.onnx` agrees with its architecture and its `.tflite` twin."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("onnx")

from edge.artifact import Artifact
from edge.errors import ArtifactError
from edge.spec import ModelSpec
from ontology.catalog import Catalog
from ontology.describe.model import ModelFacts
from server.cli.app import main
from server.describe_onnx import onnx_facts
from server.export import onnx
from tests.edge.convnets import convnets, everything, inputs
from tests.edge.zoo import model, parameters


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(convnets())
def test_counts_are_those_of_the_architecture(spec: ModelSpec) -> None:
    facts = onnx_facts(onnx.write(spec, parameters(spec), name="m"))
    twin = ModelFacts.of(Artifact(model(spec)))
    assert facts.macs == twin.macs == (spec.macs or None)
    assert facts.parameters == twin.parameters
    assert facts.data_type == twin.data_type == "float32" and facts.runtimes == ("onnxruntime",)
    assert facts.layers[0].inputs == spec.n_in and facts.layers[-1].outputs == spec.n_out
    assert facts.activation_bytes and facts.activation_bytes >= 4 * spec.n_in


def test_an_int8_file_has_the_same_counts() -> None:
    spec = everything()
    data = onnx.write_int8(spec, parameters(spec), inputs(spec, 8), name="m")
    facts = onnx_facts(data)
    assert (facts.macs, facts.size) == (spec.macs, len(data))
    assert facts.parameters == onnx_facts(onnx.write(spec, parameters(spec), name="m")).parameters
    assert "uint8" in {layer.data_type for layer in facts.layers}


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_a_broken_file_is_refused(data: st.DataObject) -> None:
    spec = ModelSpec.mlp([2, 3, 1])
    whole = bytearray(onnx.write(spec, parameters(spec), name="m"))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        onnx_facts(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    except ArtifactError as error:
        assert "no ONNX model" in error.message


def test_the_command_shows_and_adds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = everything()
    (tmp_path / "m.onnx").write_bytes(onnx.write(spec, parameters(spec), name="m"))
    (tmp_path / "m.tflite").write_bytes(model(spec))
    store = ["--catalog", str(tmp_path / "c")]
    add = ["--add", "--name", "both", "--sensor", "camera", "--licence", "MIT", *store]
    for name in ("m.onnx", "m.tflite"):
        assert main(["catalog", "describe", str(tmp_path / name), "--layers", *add]) == 0
    text = capsys.readouterr().out
    assert text.count("added to") == 2 and "as both" in text
    dense = [line.split() for line in text.splitlines() if "FULLY_CONNECTED" in line]
    assert dense and all("float32" in line for line in dense[1:])
    assert "DepthwiseConv2D" not in text and "DEPTHWISE_CONV_2D" in text and "Conv " in text
    assert main(["catalog", "describe", str(tmp_path / "m.tflite"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["macs"] == spec.macs
    with Catalog.open(tmp_path / "c") as catalog:
        rows = catalog.query('SELECT ?m { ?m tf:needsSensor "camera" ; dct:license ?l }')
        assert len(rows) == 2
    assert main(["catalog", "describe", str(tmp_path / "none")]) == 2
