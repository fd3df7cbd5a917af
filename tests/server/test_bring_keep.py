"""A tail that begins with the weights of the layer it replaces answers as the model did."""

import json
from pathlib import Path

import numpy as np
import pytest

from edge.artifact import Artifact
from edge.errors import ExitCode, UsageError
from edge.fronted import learner_of
from edge.runtime import load
from edge.spec import ModelSpec
from server.bring.hybrid import hybrid
from server.bring.tail import Tail
from server.cli.app import main
from server.export import onnx as exported
from server.export import tflite
from tests.edge.convnets import everything, inputs
from tests.edge.zoo import parameters
from tests.server.foreign import NEEDED, foreign
from tests.server.test_bring_convert import chain, drawn

KEEP = Tail(3, keep=True)


@pytest.mark.parametrize("form", ["tflite", "int8 tflite", "onnx", "int8 onnx"])
def test_our_own_last_layer_is_kept(form: str) -> None:
    spec = everything()
    p, x = parameters(spec), inputs(spec, 40)
    to = tflite if "tflite" in form else exported
    data = to.write_int8(spec, p, x, name="m") if "int8" in form else to.write(spec, p, name="m")
    made = hybrid(data, KEEP)
    wanted = load(data).run(x)
    bound = 0.05 if "int8" in form else 1e-5
    np.testing.assert_allclose(learner_of(made.data).predict_many(x), wanted, atol=bound)
    fresh = learner_of(hybrid(data, Tail(3)).data).predict_many(x)
    assert np.abs(fresh - wanted).max() > 2 * bound


def test_a_matmul_and_its_add_are_kept() -> None:
    nodes = [("Tanh", [], {}), ("MatMul", ["w"], {}), ("Add", ["b"], {}), ("Softmax", [], {})]
    data = chain([6], nodes, w=drawn(6, 3), b=drawn(3, seed=1))
    x = drawn(5, 6, seed=2)
    kept = learner_of(hybrid(data, KEEP).data).predict_many(x)
    np.testing.assert_allclose(kept, load(data).run(x), atol=1e-6)


@NEEDED
@pytest.mark.parametrize(
    "name", ["Magic_Wand_1", "Person_Detection", "ARM_CNN_Small_keyword_spotting"]
)
def test_last_layers_of_others_are_kept(name: str) -> None:
    data = foreign(name)
    artifact = Artifact(data)
    outputs = artifact.output.elements
    classes = "SOFTMAX" in [operator.name for operator in artifact.operators]
    made = hybrid(data, Tail(outputs, classes=classes, keep=True))
    x = np.random.default_rng(0).uniform(0, 1, (4, artifact.input.elements)).astype(np.float32)
    wanted = np.asarray(load(data).run(x), np.float32)
    found = learner_of(made.data).predict_many(x)
    assert np.array_equal(found.argmax(axis=1), wanted.argmax(axis=1))
    np.testing.assert_allclose(found, wanted, atol=0.05)


def test_what_cannot_be_kept_is_said() -> None:
    spec = ModelSpec.mlp([4, 5, 3], output="softmax")
    for data in (
        tflite.write(spec, spec.initial(0), name="m"),
        exported.write(spec, spec.initial(0), name="m"),
    ):
        with pytest.raises(UsageError, match="it has 3 outputs, --classes 2 came") as refused:
            hybrid(data, Tail(2, keep=True))
        assert "--classes 3" in refused.value.hint
        with pytest.raises(UsageError, match="more than one layer"):
            hybrid(data, KEEP, layer="dense0")
        with pytest.raises(UsageError, match=r"(?i)softmax follows it") as refused:
            hybrid(data, Tail(3, classes=False, keep=True))
        assert "--classes 3" in refused.value.hint
    with pytest.raises(UsageError, match="which is one layer"):
        Tail(3, hidden=(4,), keep=True)
    wide = chain([3, 7, 7], [("Relu", [], {}), ("Conv", ["k"], {})], k=drawn(3, 3, 3, 3))
    with pytest.raises(UsageError, match="more than one place"):
        hybrid(wide, KEEP)


def test_the_command_says_whether_the_tail_is_new(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = ModelSpec.mlp([4, 5, 3], output="softmax")
    path = tmp_path / "net.onnx"
    path.write_bytes(exported.write(spec, spec.initial(0), name="m"))
    line = ["server", "import", str(path), "--classes", "3", "--out", str(tmp_path)]
    assert main(line) == 0
    assert "The tail is new: it knows nothing yet" in capsys.readouterr().out
    assert main([*line, "--keep-tail"]) == 0
    shown = capsys.readouterr().out
    assert "has the weights of the Gemm" in shown and "tinyfleet server run --task own" in shown
    for more, kept in (([], False), (["--keep-tail"], True)):
        assert main([*line, *more, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["hybrid"]["tail_kept"] is kept
    assert main([*line, "--keep-tail", "--seed", "3"]) == ExitCode.USAGE
    assert "--seed" in capsys.readouterr().err
