"""The learner answers as the TFLite runtimes do, float32 and int8."""

import numpy as np
import pytest

from edge import runtime
from edge.artifact import Artifact
from edge.learner import OnlineLearner, ReferenceLearner
from edge.spec import ModelSpec
from server.export import tflite
from tests.edge.zoo import model, parameters, samples

SPECS = {
    "sine": ModelSpec.mlp([1, 40, 40, 1]),
    "characters": ModelSpec.mlp([196, 64, 5], output="softmax"),
    "tanh": ModelSpec.mlp([7, 9, 3], hidden="tanh", output="tanh"),
}
ONE_LAYER = {
    "linear": ModelSpec.mlp([30, 20]),
    "relu": ModelSpec.mlp([30, 20], output="relu"),
    "tanh": ModelSpec.mlp([30, 20], output="tanh"),
    "softmax": ModelSpec.mlp([30, 20], output="softmax"),
}
BOTH = [OnlineLearner, ReferenceLearner]


def runtimes(file: bytes) -> list[runtime.Runtime]:
    found = list(runtime.available(file))
    if not found:
        pytest.skip("no TFLite runtime is installed")
    return found


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("name", SPECS)
def test_float_answers_agree(kind: type[ReferenceLearner], name: str) -> None:
    file, x = model(SPECS[name]), samples(SPECS[name], 50)[0]
    ours = kind(file).predict_many(x)
    for other in runtimes(file):
        np.testing.assert_allclose(ours, other.run(x), rtol=1e-5, atol=1e-5, err_msg=other.name)


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("name", ONE_LAYER)
def test_an_int8_layer_agrees_to_one_step(name: str, per_channel: bool) -> None:
    spec, rng = ONE_LAYER[name], np.random.default_rng(3)
    file = tflite.write_int8(
        spec, parameters(spec), samples(spec, 100)[0], per_channel=per_channel, name="zoo"
    )
    x = rng.integers(-128, 128, (200, spec.n_in)).astype(np.int8)
    learner = OnlineLearner(file, infer_only=True)
    ours = np.stack([learner.predict_int8(row) for row in x]).astype(int)
    assert np.unique(ours).size > 10
    last = Artifact(file).chain[-1]
    # one step of the sum, through the steepest place of the activation
    slope = {"tanh": 1.0, "softmax": 0.5}.get(name, 0.0)
    allowed = 1 + slope * float(last.in_scale / last.out_scale)
    for other in runtimes(file):
        apart = np.abs(ours - other.run(x).astype(int))
        assert apart.max() <= allowed, other.name
        assert (apart > 0).mean() < 0.005, other.name


@pytest.mark.parametrize("name", SPECS)
def test_int8_answers_differ_by_less_than_quantisation_does(name: str) -> None:
    spec = SPECS[name]
    x = samples(spec, 100)[0]
    file = tflite.write_int8(spec, parameters(spec), x, name="zoo")
    ours = OnlineLearner(file, infer_only=True).predict_many(x)
    exact = OnlineLearner(model(spec)).predict_many(x)
    for other in runtimes(file):
        theirs = other.run(x)
        between, loss = np.square(ours - theirs).mean(), np.square(theirs - exact).mean()
        assert between < loss / 4, other.name
        assert np.square(ours - exact).mean() < 1.1 * loss, other.name
