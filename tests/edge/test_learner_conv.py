"""Convolutions, pools, hybrid tails: the C learner against its NumPy twin, bit for bit."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.learner import NativeLearner, ReferenceLearner
from edge.spec import ModelSpec
from edge.steps import average_pool, conv, dense, depthwise, max_pool, mean, pad
from server.export import tflite
from tests.edge.convnets import convnets, everything
from tests.edge.twins import ARITHMETICS, assert_same, needs_c, optimisers, stream

pytestmark = needs_c

F = np.float32
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
    "overlapping": ModelSpec.convnet(
        (6, 7, 3),
        [
            conv(5, 3, activation="tanh"),
            average_pool(3, stride=1, padding="same"),
            max_pool(3, stride=1, padding="same"),
            conv(2, 3, padding="valid"),
            dense(3),
        ],
    ),
    "everything": everything(),
}
LAST = {name: len(spec.weighted) for name, spec in SPECS.items()}
HEAVY = {"momentum": 0.9, "decay": 1e-3, "clip": 0.7}


def artefact(spec: ModelSpec, seed: int, float_layers: int = 0) -> bytes:
    """A float32 file, or a hybrid one with so many layers in float32."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(scale=0.05, size=spec.n_parameters)
    values = (spec.initial(1) + noise).astype(F)
    values[rng.random(values.size) < 0.05] = 0
    if not float_layers:
        return tflite.write(spec, values, name="net")
    rows = rng.normal(size=(20, spec.n_in)).astype(F)
    return tflite.write_hybrid(spec, values, rows, float_layers=float_layers, name="net")


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("optimiser", [{}, HEAVY], ids=["plain", "momentum"])
@pytest.mark.parametrize("name", SPECS)
def test_bits_after_fifty_steps(name: str, optimiser: dict[str, float], arithmetic: str) -> None:
    spec = SPECS[name]
    assert_same(artefact(spec, 0), stream(spec, 50, 1), arithmetic=arithmetic, **optimiser)


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize(
    ("name", "train_layers"), [(name, n) for name in SPECS for n in range(1, LAST[name])]
)
def test_bits_of_every_suffix(name: str, train_layers: int, arithmetic: str) -> None:
    spec = SPECS[name]
    options = {"train_layers": train_layers, "standardise": True, "arithmetic": arithmetic}
    assert_same(artefact(spec, 0), stream(spec, 5, 2), **options)
    assert_same(artefact(spec, 0), stream(spec, 5, 2), **options, **HEAVY)


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize(
    ("name", "float_layers"), [(name, n) for name in SPECS for n in range(1, LAST[name])]
)
def test_bits_of_every_hybrid_tail(name: str, float_layers: int, arithmetic: str) -> None:
    spec = SPECS[name]
    file = artefact(spec, 0, float_layers)
    assert_same(file, stream(spec, 50, 3), arithmetic=arithmetic)
    assert_same(file, stream(spec, 5, 3), arithmetic=arithmetic, standardise=True, **HEAVY)


@pytest.mark.parametrize(("arithmetic", "standardise"), product(ARITHMETICS, [False, True]))
def test_bits_of_an_autoencoder_of_the_tail(arithmetic: str, standardise: bool) -> None:
    spec = ModelSpec.convnet((6, 6, 1), [conv(3, 3, stride=2), mean(), dense(2), dense(3)])
    samples = [(x, []) for x, _ in stream(spec, 50, 4)]
    options: dict[str, Any] = {"arithmetic": arithmetic, "standardise": standardise}
    assert_same(artefact(spec, 0), samples, train_layers=2, reconstruct=True, **options)


@pytest.mark.parametrize("kind", ["conv", "depthwise"])
def test_a_window_may_lie_in_the_padding_alone(kind: str) -> None:
    """Taps two apart around a single pixel: both miss it, and what is left is the bias."""
    first = (
        conv(2, (1, 2), dilation=(1, 2))
        if kind == "conv"
        else depthwise((1, 2), dilation=(1, 2), multiplier=2)
    )
    spec = ModelSpec.convnet((1, 1, 1), [first, dense(2)])
    for seed in range(5):
        file = artefact(spec, seed)
        assert_same(file, stream(spec, 3, seed), **HEAVY)
        assert_same(file, stream(spec, 3, seed))
        answers = [NativeLearner(file).predict_one([x]) for x in (-1, 0, 1)]
        assert answers[0].tobytes() == answers[1].tobytes() == answers[2].tobytes()


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    convnets(),
    optimisers(),
    st.sampled_from(ARITHMETICS),
    st.booleans(),
    st.sampled_from([0.01, 0.3]),
    st.integers(0, 2**31),
    st.data(),
)
def test_bits_of_any_net(
    spec: ModelSpec,
    optimiser: dict[str, float],
    arithmetic: str,
    standardise: bool,
    rate: float,
    seed: int,
    data: st.DataObject,
) -> None:
    layers = len(spec.weighted)
    float_layers = data.draw(st.integers(0, layers - 1), "float layers of a hybrid")
    train_layers = data.draw(st.integers(0, float_layers or layers), "trained layers")
    file = artefact(spec, seed, float_layers)
    options: dict[str, Any] = {"arithmetic": arithmetic, "standardise": standardise, **optimiser}
    assert_same(file, stream(spec, 4, seed), rate, train_layers=train_layers, **options)


@pytest.mark.parametrize("name", SPECS)
def test_each_goes_on_where_the_other_stopped(name: str) -> None:
    spec, options = SPECS[name], {"standardise": True, **HEAVY}
    file, samples = artefact(spec, 0), stream(spec, 8, 6)
    kinds = NativeLearner, ReferenceLearner
    for first, second in (kinds, kinds[::-1]):
        whole, start, end = (kind(file, **options) for kind in (first, first, second))
        for x, target in samples[:4]:
            start.learn_one(x, target, rate=0.05)
        end.load_state(start.state())
        for learner, part in ((whole, samples), (end, samples[4:])):
            for x, target in part:
                learner.learn_one(x, target, rate=0.05)
        assert whole.state()["parameters"].tobytes() == end.state()["parameters"].tobytes()
        assert whole.state()["statistics"].tobytes() == end.state()["statistics"].tobytes()
