"""The C library and its NumPy twin give the same bits and refuse the same."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from edge.learner import NativeLearner, NonFinite, OnlineLearner, ReferenceLearner
from edge.learner.native import library
from edge.learner.reference_kernels import fused, squares, total
from edge.spec import ModelSpec
from server.export import tflite
from tests.edge.twins import ARITHMETICS, assert_same, needs_c, optimisers, outcome
from tests.edge.zoo import model, parameters, samples, specs

F = np.float32
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
ABOVE_ONE = 1 + 2.0**-23


def test_the_backend_says_which_one_runs() -> None:
    expected = "numpy" if library() is None else "c"
    assert OnlineLearner.backend == expected
    assert ReferenceLearner.backend == "numpy"


@needs_c
@settings(deadline=None)
@given(
    specs(),
    st.booleans(),
    st.sampled_from(ARITHMETICS),
    optimisers(),
    st.integers(0, 1000),
    st.floats(1e-4, 1.0),
    st.data(),
)
def test_bits_are_equal_after_training(
    spec: ModelSpec,
    standardise: bool,
    arithmetic: str,
    optimiser: dict[str, float],
    seed: int,
    rate: float,
    data: st.DataObject,
) -> None:
    layers = data.draw(st.integers(0, len(spec.layers)))
    options: dict[str, Any] = {"standardise": standardise, "arithmetic": arithmetic, **optimiser}
    x, targets = samples(spec, 12, seed)
    pairs = list(zip(x, targets, strict=True))
    assert_same(model(spec, seed), pairs, rate, train_layers=layers, **options)


@needs_c
@settings(deadline=None)
@given(specs(), st.integers(0, 1000), st.floats(1e-4, 1.0))
def test_many_samples_give_the_same_bits(spec: ModelSpec, seed: int, rate: float) -> None:
    x, targets = samples(spec, 12, seed)

    def answers(learner: Any) -> list[bytes | str]:
        return [
            outcome(lambda: learner.learn_many(x, targets, rate=rate)),
            outcome(lambda: learner.predict_many(x)),
            outcome(lambda: learner.parameters),
        ]

    c, twin = (kind(model(spec, seed)) for kind in (NativeLearner, ReferenceLearner))
    ours, theirs = answers(c), answers(twin)
    assume(np.isfinite(c.parameters).all() and np.isfinite(twin.parameters).all())
    assert ours == theirs


@needs_c
@settings(deadline=None)
@given(specs(), st.booleans(), st.integers(0, 1000))
def test_int8_bits_are_equal(spec: ModelSpec, per_channel: bool, seed: int) -> None:
    x = samples(spec, 20, seed)[0]
    file = tflite.write_int8(spec, parameters(spec, seed), x, per_channel=per_channel, name="zoo")
    c, twin = (kind(file, infer_only=True) for kind in (NativeLearner, ReferenceLearner))
    assert c.predict_many(x).tobytes() == twin.predict_many(x).tobytes()
    rng = np.random.default_rng(seed)
    for row in rng.integers(-128, 128, (10, spec.n_in)).astype(np.int8):
        assert c.predict_int8(row).tobytes() == twin.predict_int8(row).tobytes()


NAN = float("nan")
CALLS: dict[str, Callable[[Any], Any]] = {
    "class": lambda x: x.learn_one([1, 0, 0], 7, rate=0.1),
    "half a class": lambda x: x.learn_one([1, 0, 0], 0.5, rate=0.1),
    "class below 0": lambda x: x.learn_one([1, 0, 0], -1, rate=0.1),
    "class and input": lambda x: x.learn_one([NAN, 0, 0], 7, rate=0.1),
    "class and rate": lambda x: x.learn_one([1, 0, 0], 7, rate=NAN),
    "class is NaN": lambda x: x.learn_one([1, 0, 0], NAN, rate=0.1),
    "input": lambda x: x.learn_one([1, NAN, 0], 0, rate=0.1),
    "shape": lambda x: x.learn_one([1, 0], 0, rate=0.1),
    "rate too large": lambda x: x.learn_one([1, 0, 0], 0, rate=1e300),
    "overflow": lambda x: x.learn_one([3e38, 3e38, 3e38], 1, rate=0.1),
    "loss": lambda x: x.loss_one([NAN, 0, 0], 7),
    "prediction": lambda x: x.predict_one([NAN, 0, 0]),
    "int8": lambda x: x.predict_int8([1, 0, 0]),
    "target of no values": lambda x: x.learn_one([1, 0, 0], [], rate=0.1),
    "target of three": lambda x: x.learn_one([1, 0, 0], [1, 0, 0], rate=0.1),
    "parameters": lambda x: setattr(x, "parameters", np.full(8, NAN)),
    "too few parameters": lambda x: setattr(x, "parameters", np.zeros(7)),
    "state": lambda x: x.load_state({"parameters": np.zeros(8), "statistics": [1], "count": 1}),
    "spare class": lambda x: x.add_class(),
    "no such class": lambda x: x.add_class(9),
    "known class": lambda x: x.add_class(0),
    "optimiser": lambda x: x.set_optimiser(0.5, 0, 0),
}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"infer_only": True},
    {"standardise": True},
    {"momentum": 0.5},
    {"reconstruct": True},
    {"momentum": 1.0},
    {"clip": -1.0},
    {"arithmetic": "sum"},
]


@needs_c
@pytest.mark.parametrize("spec", [ModelSpec.mlp([3, 2], output="softmax"), ModelSpec.mlp([3, 3])])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("call", CALLS)
def test_both_refuse_the_same(call: str, options: dict[str, Any], spec: ModelSpec) -> None:
    def answer(kind: Any) -> bytes | str:
        return outcome(lambda: CALLS[call](kind(model(spec), **options)))

    assert answer(NativeLearner) == answer(ReferenceLearner)


@needs_c
@pytest.mark.parametrize("activation", ["linear", "relu", "relu6", "tanh", "logistic"])
def test_an_overflow_within_the_net_is_seen(activation: str) -> None:
    """Weights and inputs are finite, but the first sum is infinity less infinity."""
    spec = ModelSpec.mlp([2, 2, 1], hidden=activation)
    file = tflite.write(spec, np.array([3e38] * 4 + [0, 0, 1, 1, 0], F), name="net")
    for kind in (ReferenceLearner, NativeLearner):
        with pytest.raises(NonFinite):
            kind(file).learn_one([2, -2], [1], rate=0.1)
        assert np.isnan(kind(file).predict_one([2, -2])).all()


def nearest(exact: Fraction) -> np.float32:
    """The float32 next to a number; of two as near, the even one."""
    if exact == 0:
        return F(0)
    exponent = exact.numerator.bit_length() - exact.denominator.bit_length() - 1
    while abs(exact) >= Fraction(2) ** (exponent + 1):
        exponent += 1
    unit = Fraction(2) ** (max(exponent, -126) - 23)
    rounded = round(exact / unit) * unit
    if abs(rounded) >= 2**128:
        return F(np.inf) if rounded > 0 else F(-np.inf)
    return F(float(rounded))


@settings(max_examples=300, deadline=None)
@given(FLOATS, FLOATS, FLOATS)
@example(ABOVE_ONE, ABOVE_ONE * 2.0**-24, 2 - ABOVE_ONE)  # float64 would round it to a tie
@example(-ABOVE_ONE, ABOVE_ONE * 2.0**-24, ABOVE_ONE - 2)
@example(2.0**-126, -(2.0**-75), 2.0**-75 * ABOVE_ONE)
@example(1.0, -1.0, 1.0)
@example(3e38, 3e38, 3e38)
def test_a_fused_step_rounds_once(s: float, a: float, b: float) -> None:
    expected = nearest(Fraction(s) + Fraction(a) * Fraction(b))
    with np.errstate(all="ignore"):
        assert fused(F(s), F(a), F(b)) == expected
        assert (fused(np.full((2, 3), s, F), F(a), F(b)) == expected).all()


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(0, 1000))
def test_sums_are_in_index_order(n: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(n, 3)).astype(F)
    expected = [F(0)] * 4
    for row in values:
        for column, value in enumerate(row):
            expected[column] = expected[column] + value
        expected[3] = expected[3] + row[0] * row[0]
    assert total(values).tolist() == expected[:3]
    assert total(values[:, 1]) == expected[1]
    assert squares(values[:, 0]) == expected[3]
    assert squares(values.T)[0] == expected[3]


@settings(deadline=None)
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
