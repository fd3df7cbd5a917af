"""Convolutions, pools, hybrid tails: the C learner against its NumPy twin, bit for bit."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.learner import NativeLearner, ReferenceLearner
from edge.learner.native import library
from edge.spec import ModelSpec
from edge.steps import average_pool, conv, dense, depthwise, max_pool, mean, pad
from server.export import tflite

pytestmark = pytest.mark.skipif(library() is None, reason="no C compiler")

F = np.float32
OPTIONS: list[dict[str, Any]] = [
    {},
    {"train_layers": 1},
    {"standardise": True},
    {"arithmetic": "fma"},
    {"momentum": 0.9, "decay": 1e-3, "clip": 0.7},
]
SPECS = {
    "padded": ModelSpec.convnet(
        (9, 8, 2),
        [
            conv(4, 3),
            max_pool(2),
            conv(8, (3, 2), stride=(2, 1), padding=(1, 0, 2, 1)),
            mean(),
            dense(5, "softmax"),
        ],
    ),
    "depthwise": ModelSpec.convnet(
        (10, 7, 3),
        [
            depthwise(3, multiplier=2, stride=2, activation="relu6"),
            conv(5, 1, activation="tanh"),
            average_pool(2, padding="same"),
            dense(4),
        ],
    ),
    "dilated": ModelSpec.convnet(
        (7, 7, 1),
        [
            conv(3, 3, dilation=2, activation="logistic"),
            depthwise(3),
            pad((1, 1, 0, 2)),
            conv(8, 3, padding="valid"),
            dense(3, "softmax"),
        ],
    ),
    "convolutional": ModelSpec.convnet((6, 6, 4), [conv(16, 3), conv(8, 3, stride=2), mean()]),
}


def artefact(spec: ModelSpec, rng: np.random.Generator, kind: str) -> bytes:
    noise = rng.normal(scale=0.05, size=spec.n_parameters)
    values = (spec.initial(1) + noise).astype(F)
    if kind == "float32":
        return tflite.write(spec, values, name="net")
    rows = rng.normal(size=(30, spec.n_in)).astype(F)
    return tflite.write_hybrid(spec, values, rows, float_layers=1, name="net")


def sample(spec: ModelSpec, rng: np.random.Generator) -> tuple[Any, Any]:
    x = rng.normal(size=spec.n_in).astype(F)
    x[rng.random(spec.n_in) < 0.3] = 0
    softmax = spec.loss == "cross_entropy"
    return x, rng.integers(spec.n_out) if softmax else rng.normal(size=spec.n_out)


def assert_same(spec: ModelSpec, model: bytes, options: dict[str, Any], seed: int) -> None:
    c, twin = NativeLearner(model, **options), ReferenceLearner(model, **options)
    assert c.sizes == twin.sizes
    rng = np.random.default_rng(seed)
    for _ in range(4):
        x, target = sample(spec, rng)
        assert c.loss_one(x, target) == twin.loss_one(x, target)
        assert c.learn_one(x, target, rate=0.05) == twin.learn_one(x, target, rate=0.05)
        assert c.parameters.tobytes() == twin.parameters.tobytes()
        assert c.predict_one(x).tobytes() == twin.predict_one(x).tobytes()
    ours, theirs = c.state(), twin.state()
    assert ours["statistics"].tobytes() == theirs["statistics"].tobytes()
    assert ours["count"] == theirs["count"]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", ["float32", "hybrid"])
@pytest.mark.parametrize("name", SPECS)
def test_bits_are_those_of_the_twin(name: str, kind: str, options: dict[str, Any]) -> None:
    spec = SPECS[name]
    assert_same(spec, artefact(spec, np.random.default_rng(0), kind), options, 1)


@st.composite
def nets(draw: st.DrawFn) -> ModelSpec:
    def pair(least: int, most: int) -> tuple[int, int]:
        return draw(st.tuples(st.integers(least, most), st.integers(least, most)))

    shape = (*pair(3, 9), draw(st.integers(1, 9)))
    padding = draw(st.sampled_from(["same", "valid"]))
    kernel = draw(st.tuples(st.integers(1, min(3, shape[0])), st.integers(1, min(3, shape[1]))))
    activation = draw(st.sampled_from(["linear", "relu", "relu6", "tanh", "logistic"]))
    first = (
        depthwise(kernel, multiplier=draw(st.integers(1, 3)), stride=pair(1, 2), padding=padding,
                  activation=activation)
        if draw(st.booleans())
        else conv(draw(st.integers(1, 18)), kernel, stride=pair(1, 2), padding=padding,
                  activation=activation)
    )  # fmt: skip
    between = draw(st.sampled_from([[], [average_pool(2, padding="same")], [mean()]]))
    last = dense(draw(st.integers(2, 19)), draw(st.sampled_from(["linear", "softmax"])))
    return ModelSpec.convnet(shape, [first, *between, last])


@settings(max_examples=40, deadline=None)
@given(nets(), st.sampled_from(OPTIONS), st.integers(0, 2**31))
def test_bits_are_those_of_the_twin_for_any_net(
    spec: ModelSpec, options: dict[str, Any], seed: int
) -> None:
    model = artefact(spec, np.random.default_rng(seed), "float32")
    assert_same(spec, model, options, seed)


@pytest.mark.parametrize("name", SPECS)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    spec, rng = SPECS[name], np.random.default_rng(3)
    model = artefact(spec, rng, "float32")
    x, target = sample(spec, rng)
    learner = NativeLearner(model)
    before, rate, width = learner.parameters, 1.0, 3e-3
    learner.learn_one(x, target, rate=rate)
    gradient = (before - learner.parameters) / rate
    for direction in rng.normal(size=(12, before.size)):
        direction /= np.linalg.norm(direction)
        losses = []
        for sign in (1, -1):
            learner.parameters = (before + sign * width * direction).astype(F)
            losses.append(learner.loss_one(x, target))
        slope = (losses[0] - losses[1]) / (2 * width)
        assert slope == pytest.approx(gradient @ direction, abs=2e-2 * np.linalg.norm(gradient))
