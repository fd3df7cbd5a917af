"""Fine-tuning through the rounding brings int8 nearer to the float model, without labels."""

import json

import numpy as np
import pytest

pytest.importorskip("torch")

from edge.artifact import Artifact
from edge.errors import UsageError
from edge.learner import OnlineLearner
from edge.spec import ModelSpec
from edge.steps import conv, dense, depthwise, pad
from server.cli import main
from server.export import tflite
from server.export.reference import forward
from server.export.refine import refine
from server.export.sqnr import sqnr
from server.models import model

WAVE = Artifact(model("sine"))


def noise(spec, parameters, reference, x, ranges) -> float:
    data = tflite.write_int8(spec, parameters, ranges, name="m")
    answers = OnlineLearner(data, infer_only=True).predict_many(x)
    return sqnr(forward(spec, reference, x), answers)


def test_int8_of_a_model_that_loses_much_is_nearer_afterwards_on_other_samples() -> None:
    rng = np.random.default_rng(0)
    ranges, x = (rng.uniform(-5, 5, (n, 1)).astype(np.float32) for n in (200, 500))
    spec, parameters = WAVE.spec, WAVE.parameters()
    refined = refine(spec, parameters, ranges)
    before, after = (noise(spec, p, parameters, x, ranges) for p in (parameters, refined))
    assert after > before + 3
    assert np.array_equal(refine(spec, parameters, ranges), refined)


@pytest.mark.parametrize(
    "spec",
    [
        ModelSpec.convnet(
            (8, 6, 1),
            [pad((1, 1, 1, 1)), conv(4, stride=2), pad((1, 0, 1, 0)), conv(3), dense(3, "softmax")],
        ),
        ModelSpec.mlp([6, 16, 4], hidden="tanh", output="softmax"),
        ModelSpec.mlp([6, 16, 6], hidden="relu", output="linear"),
        ModelSpec.convnet(
            (10, 8, 1), [conv(6, stride=2, padding=(1, 1, 1, 1)), conv(4), dense(3, "softmax")]
        ),
    ],
)
def test_no_kind_of_net_gets_worse_on_its_own_samples(spec) -> None:
    x = np.random.default_rng(1).normal(size=(150, spec.n_in)).astype(np.float32)
    parameters = spec.initial(2)
    refined = refine(spec, parameters, x, steps=150)
    assert refined.shape == parameters.shape and np.isfinite(refined).all()
    before, after = (noise(spec, p, parameters, x, x) for p in (parameters, refined))
    assert after > before - 0.3


def test_a_layer_that_it_does_not_know_is_named() -> None:
    spec = ModelSpec.convnet((8, 8, 1), [conv(2), depthwise(), dense(2, "softmax")])
    with pytest.raises(UsageError, match="cannot be refined"):
        refine(spec, spec.initial(0), np.zeros((4, 64), np.float32))


def test_the_command_refines_int8_and_leaves_float_as_it_is(tmp_path, capsys) -> None:
    path = tmp_path / "sine.tflite"
    path.write_bytes(model("sine"))
    found = []
    for name, more in (("plain", []), ("refined", ["--refine"])):
        out = tmp_path / name
        assert main(["server", "export", str(path), "--to", "tflite", "--out", str(out), "--json",
                     *more]) == 0  # fmt: skip
        found.append({e["file"]: e for e in json.loads(capsys.readouterr().out)})
    plain, refined = found
    assert plain["model.f32.tflite"]["sha256"] == refined["model.f32.tflite"]["sha256"]
    assert refined["model.int8.tflite"]["sqnr"] > plain["model.int8.tflite"]["sqnr"] + 1
