"""Equalised channels: the same model, and int8 files that lose less."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.artifact import Artifact
from edge.learner import OnlineLearner
from edge.spec import ModelSpec
from edge.steps import conv, dense, depthwise, max_pool, mean, pad
from server.export import tflite
from server.export.about import About
from server.export.encode import encode
from server.export.equalise import STRENGTHS, equalise, nearest
from server.export.reference import forward, layer_values
from server.export.sqnr import sqnr
from server.export.wanted import Wanted
from server.models import model

NETS = {
    "dense": ModelSpec.mlp([5, 16, 12, 3], output="softmax"),
    "linear": ModelSpec.mlp([5, 9, 3], hidden="linear"),
    "convolutions": ModelSpec.convnet(
        (8, 6, 2),
        [conv(6, activation="relu"), pad((1, 1, 1, 1)), conv(4, activation="relu"), dense(3)],
    ),
    "depthwise": ModelSpec.convnet(
        (9, 7, 1),
        [conv(4, activation="relu"), depthwise(multiplier=2, activation="relu"), max_pool(2),
         conv(5, kernel=1, activation="relu"), mean(), dense(3, "softmax")],
    ),
}  # fmt: skip


def uneven(spec: ModelSpec, seed: int) -> np.ndarray:
    """Parameters whose channels differ by up to a thousand, and some of which say nothing."""
    rng = np.random.default_rng(seed)
    parts = []
    weighted = [layer for layer in spec.layers if layer.weight_shape]
    for layer, (w, b) in zip(weighted, spec.split(spec.initial(seed)), strict=True):
        scale = 10.0 ** rng.uniform(-2, 1, len(b)) * (rng.random(len(b)) > 0.1)
        last = len(w.shape) == 3 and layer.weight_shape[-1] == len(b)
        along = scale if last else scale.reshape(-1, *[1] * (w.ndim - 1))
        parts.append((w * along, rng.normal(size=len(b)) * scale))
    return spec.join(parts)


@pytest.mark.parametrize("name", NETS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), strength=st.sampled_from([0.0, *STRENGTHS, 1.0]))
def test_the_model_computes_what_it_did(name, seed, strength) -> None:
    spec = NETS[name]
    x = np.random.default_rng(seed).normal(size=(12, spec.n_in)).astype(np.float32)
    parameters = uneven(spec, seed)
    changed = equalise(spec, parameters, x, strength, 99)
    before, after = forward(spec, parameters, x), forward(spec, changed, x)
    np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-4 * np.abs(before).max() + 1e-6)


def test_the_channels_get_one_range() -> None:
    spec = NETS["depthwise"]
    x = np.random.default_rng(0).normal(size=(50, spec.n_in)).astype(np.float32)
    parameters = uneven(spec, 3)

    def alike(of: np.ndarray, index: int) -> float:
        out = layer_values(spec, of, x)[index].out.reshape(-1, spec.layers[index].out_shape[2])
        used = (largest := np.abs(out).max(axis=0))[largest > 0]
        return float((used > 0.99 * used.max()).mean())

    changed = equalise(spec, parameters, x, 1.0, 99)
    for index, layer in enumerate(spec.layers[:-1]):
        if layer.weight_shape:
            assert alike(changed, index) > 0.7 > alike(parameters, index)


def test_what_a_scale_cannot_pass_and_float_layers_stay_as_they_are() -> None:
    x = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)
    for hidden in ("tanh", "logistic", "relu6"):
        spec = ModelSpec.mlp([5, 8, 3], hidden=hidden)
        parameters = uneven(spec, 1)
        assert np.array_equal(equalise(spec, parameters, x, 0.5, 99), parameters)
        assert nearest(spec, parameters, x, lambda _: b"never written", 2) is parameters
    spec = NETS["dense"]
    changed = spec.split(equalise(spec, uneven(spec, 1), x, 0.5, 2))
    before = spec.split(uneven(spec, 1))
    assert not np.array_equal(changed[1][0], before[1][0])
    assert np.array_equal(changed[2][0], before[2][0])


def test_the_shipped_sine_loses_less_than_half_the_noise_and_others_stay() -> None:
    rng = np.random.default_rng(0)
    ranges, x = (rng.uniform(-5, 5, (n, 1)).astype(np.float32) for n in (200, 500))
    sine = Artifact(model("sine"))
    spec, parameters = sine.spec, sine.parameters()

    def noise(data: bytes) -> float:
        answers = OnlineLearner(data, infer_only=True).predict_many(x)
        return sqnr(forward(spec, parameters, x), answers)

    for dtype, more in (("int8", 3), ("hybrid", 0)):
        wanted = Wanted(("tflite",), (dtype,), float_ends=True)
        made = encode(spec, parameters, ranges, wanted, About("sine"))[f"model.{dtype}.tflite"]
        write = tflite.write_int8 if dtype == "int8" else tflite.write_hybrid
        how = {"float_ends": True} if dtype == "int8" else {"float_layers": 1}
        plain = write(spec, parameters, ranges, name="sine", **how)
        assert noise(made.data) >= noise(plain) + more
    even = ModelSpec.mlp([4, 12, 3], output="softmax")
    p = even.initial(3)
    some = rng.normal(size=(300, 4)).astype(np.float32)
    made = encode(even, p, some, Wanted(("tflite",), ("int8",)), About("m"))["model.int8.tflite"]
    assert made.parameters is p
