"""The C library and its NumPy twin give the same bits; both give the right gradient."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.errors import TinyfleetError
from edge.learner import NativeLearner, OnlineLearner, ReferenceLearner
from edge.learner.native import library
from edge.spec import ModelSpec
from server.export import tflite
from tests.edge.zoo import model, parameters, samples, specs

Float64 = NDArray[np.float64]
needs_c = pytest.mark.skipif(library() is None, reason="no C compiler")


def bits(values: Any) -> bytes:
    """The bits of float32 values; which NaN it is does not count."""
    array = np.asarray(values, np.float32)
    return np.where(np.isnan(array), np.float32(np.nan), array).tobytes()


def outcome(call: Callable[[], Any]) -> bytes | str:
    """What a call gave, or how it failed."""
    try:
        return bits(call())
    except TinyfleetError as error:
        return str(error)


def test_the_backend_says_which_one_runs() -> None:
    expected = "numpy" if library() is None else "c"
    assert OnlineLearner.backend == expected
    assert ReferenceLearner.backend == "numpy"


@needs_c
@given(specs(), st.booleans(), st.integers(0, 1000), st.floats(1e-4, 1.0), st.data())
def test_bits_are_equal_after_training(
    spec: ModelSpec, standardise: bool, seed: int, rate: float, data: st.DataObject
) -> None:
    layers = data.draw(st.integers(0, len(spec.layers)))
    file = model(spec, seed)
    c, twin = (
        kind(file, train_layers=layers, standardise=standardise)
        for kind in (NativeLearner, ReferenceLearner)
    )
    assert c.sizes == twin.sizes
    x, targets = samples(spec, 12, seed)

    def results(learner: Any) -> list[bytes | str]:
        return [
            outcome(lambda: learner.learn_many(x, targets, rate=rate)),
            outcome(lambda: learner.loss_one(x[0], targets[0])),
            bits(learner.state()["parameters"]),
            bits(learner.state()["statistics"]),
            outcome(lambda: learner.predict_many(x)),
        ]

    assert results(c) == results(twin)


@needs_c
@given(specs(), st.booleans(), st.integers(0, 1000))
def test_int8_bits_are_equal(spec: ModelSpec, per_channel: bool, seed: int) -> None:
    x = samples(spec, 20, seed)[0]
    file = tflite.write_int8(spec, parameters(spec, seed), x, per_channel=per_channel, name="zoo")
    c, twin = (kind(file, infer_only=True) for kind in (NativeLearner, ReferenceLearner))
    assert c.predict_many(x).tobytes() == twin.predict_many(x).tobytes()
    rng = np.random.default_rng(seed)
    for row in rng.integers(-128, 128, (10, spec.n_in)).astype(np.int8):
        assert c.predict_int8(row).tobytes() == twin.predict_int8(row).tobytes()


def loss64(spec: ModelSpec, vector: Float64, x: Float64, target: Float64) -> float:
    """The loss from its definition, in float64, sharing no code with a learner."""
    start = 0
    for layer in spec.layers:
        end = start + layer.n_in * layer.n_out
        w, b = vector[start:end].reshape(layer.n_out, layer.n_in), vector[end : end + layer.n_out]
        start = end + layer.n_out
        z = w @ x + b
        x = {"relu": np.maximum(z, 0), "tanh": np.tanh(z)}.get(layer.activation, z)
    if spec.loss == "cross_entropy":
        return float(np.log(np.exp(x - x.max()).sum()) + x.max() - x[int(target[0])])
    return float(((x - target) ** 2).mean())


@given(specs(widest=6), st.integers(0, 1000))
def test_a_step_follows_the_gradient(spec: ModelSpec, seed: int) -> None:
    vector = parameters(spec, seed)
    x, targets = samples(spec, 1, seed)
    target = np.atleast_1d(np.asarray(targets[0], np.float64))
    learner = OnlineLearner(model(spec, seed))
    loss = learner.learn_one(x[0], targets[0], rate=1.0)
    step = vector.astype(np.float64) - learner.parameters
    wide, x64 = vector.astype(np.float64), x[0].astype(np.float64)
    assert loss == pytest.approx(loss64(spec, wide, x64, target), rel=1e-4, abs=1e-5)
    for index in np.random.default_rng(seed).permutation(len(wide))[:20]:
        moved, slopes = wide.copy(), []
        for h in (1e-6, 1e-7):
            moved[index] = wide[index] + h
            above = loss64(spec, moved, x64, target)
            moved[index] = wide[index] - h
            slopes.append((above - loss64(spec, moved, x64, target)) / (2 * h))
        if abs(slopes[0] - slopes[1]) > 1e-4 * max(1, abs(slopes[0])):
            continue  # a kink of relu lies within the difference
        assert step[index] == pytest.approx(slopes[0], rel=2e-3, abs=2e-4)


@given(st.integers(2, 60), st.integers(0, 1000))
def test_running_statistics_are_those_of_the_samples(n: int, seed: int) -> None:
    spec = ModelSpec.mlp([5, 2])
    learner = OnlineLearner(model(spec), standardise=True)
    x = samples(spec, n, seed)[0] * np.float32(3) + np.float32(10)
    learner.learn_many(x, np.zeros((n, 2)), rate=0.0)
    mean, squares = learner.state()["statistics"].astype(np.float64).reshape(2, 2, 5).sum(1)
    assert learner.state()["count"] == n
    np.testing.assert_allclose(mean, x.astype(np.float64).mean(0), rtol=1e-5)
    np.testing.assert_allclose(squares / n, x.astype(np.float64).var(0), rtol=1e-3)
    z = (x[0].astype(np.float64) - mean) / np.sqrt(squares / n)
    w, b = spec.split(parameters(spec))[0]
    np.testing.assert_allclose(learner.predict_one(x[0]), w @ z + b, rtol=1e-3, atol=1e-4)
