"""Fine-tuning through the rounding brings int8 nearer to the float model, without labels."""

import json

import numpy as np
import pytest

pytest.importorskip("torch")

from edge.artifact import Artifact
from edge.learner import OnlineLearner
from edge.runtime import load
from edge.spec import ModelSpec
from edge.steps import average_pool, conv, dense, depthwise, max_pool, mean, pad
from server.cli import main
from server.export import tflite
from server.export.about import About
from server.export.encode import encode
from server.export.reference import forward
from server.export.refine import held_out, refine
from server.export.rounded import answer
from server.export.sqnr import sqnr
from server.export.wanted import Wanted
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
def test_no_file_of_an_export_gets_worse_on_samples_that_were_held_out(spec) -> None:
    x = np.random.default_rng(1).normal(size=(150, spec.n_in)).astype(np.float32)
    parameters, unseen = spec.initial(2), x[held_out(len(x))]
    expected = forward(spec, parameters, unseen)
    plain, refined = (
        encode(spec, parameters, x, Wanted(dtypes=("int8",), refined=wanted), About("m"))
        for wanted in (False, True)
    )
    assert set(plain) == set(refined) == {"model.int8.tflite", "model.int8.onnx"}
    for name, file in refined.items():
        before, after = (sqnr(expected, load(one.data).run(unseen)) for one in (plain[name], file))
        assert after > before + 0.4 if file.refined else file.data == plain[name].data


def test_so_few_samples_that_none_can_be_held_out_leave_the_model_as_it_is() -> None:
    spec, parameters = WAVE.spec, WAVE.parameters()
    one = np.ones((1, 1), np.float32)
    assert refine(spec, parameters, one) is parameters
    assert np.isfinite(refine(spec, parameters, np.repeat(one, 2, 0), steps=3)).all()


EVERY_KIND = [
    ModelSpec.mlp([6, 16, 6], hidden="tanh", output="logistic"),
    ModelSpec.convnet(
        (11, 9, 2),
        [conv(6, padding="same", stride=2, activation="relu6"),
         depthwise(multiplier=2, padding="same", activation="relu"),
         average_pool(3, stride=1), conv(5, kernel=1, activation="tanh"),
         dense(3)],
    ),
    ModelSpec.convnet(
        (12, 8, 1),
        [pad((1, 0, 2, 1)), conv(4, dilation=2, activation="relu"),
         max_pool(3, stride=2, padding="same"), depthwise(activation="linear"), mean(),
         dense(4, "relu"), dense(2)],
    ),
]  # fmt: skip


@pytest.mark.parametrize("spec", EVERY_KIND)
def test_what_is_trained_rounds_as_the_int8_file_does(spec) -> None:
    import torch

    x = np.random.default_rng(3).normal(size=(80, spec.n_in)).astype(np.float32)
    parameters = spec.initial(4)
    weighted, parts = [layer for layer in spec.layers if layer.weight_shape], []
    for layer, (w, b) in zip(weighted, spec.split(parameters), strict=True):
        axis = 2 if getattr(layer, "depthwise", False) else 0
        parts.append((torch.from_numpy(np.moveaxis(w, axis, 0).copy()), torch.from_numpy(b.copy())))
    given = torch.from_numpy(x)
    exact = answer(spec, parts, given, rounded=False).numpy()
    np.testing.assert_allclose(exact, forward(spec, parameters, x), atol=2e-6)
    rounded = answer(spec, parts, given, rounded=True).numpy()
    data = tflite.write_int8(spec, parameters, x, name="m")
    file = OnlineLearner(data, infer_only=True).predict_many(x)
    assert sqnr(rounded, file) > sqnr(exact, file) + 5  # ties are rounded to another side


def test_a_first_layer_in_float_is_not_rounded_where_the_file_does_not() -> None:
    import torch

    spec, parameters = WAVE.spec, WAVE.parameters()
    x = np.random.default_rng(3).uniform(-5, 5, (300, 1)).astype(np.float32)
    parts = [tuple(map(torch.from_numpy, part)) for part in spec.split(parameters.copy())]
    rounded = answer(spec, parts, torch.from_numpy(x), rounded=True, exact=1).numpy()
    data = tflite.write_int8(spec, parameters, x, float_ends=True, name="m")
    file = OnlineLearner(data, infer_only=True).predict_many(x)
    assert sqnr(rounded, file) > sqnr(forward(spec, parameters, x), file) + 5
    refined = refine(spec, parameters, x, exact=1)
    again = tflite.write_int8(spec, refined, x, float_ends=True, name="m")
    after = OnlineLearner(again, infer_only=True).predict_many(x)
    exact = forward(spec, parameters, x)
    assert sqnr(exact, after) > sqnr(exact, file) + 3


@pytest.mark.parametrize("spec", EVERY_KIND)
def test_every_kind_of_layer_is_refined(spec) -> None:
    x = np.random.default_rng(1).normal(size=(100, spec.n_in)).astype(np.float32)
    parameters = spec.initial(2)
    refined = refine(spec, parameters, x, steps=150)
    assert refined.shape == parameters.shape and np.isfinite(refined).all()
    unseen = x[held_out(len(x))]
    before, after = (noise(spec, p, parameters, unseen, x) for p in (parameters, refined))
    assert after > before + 0.3


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
