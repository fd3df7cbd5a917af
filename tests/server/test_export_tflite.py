"""Exported `.tflite` files in the runtimes that others wrote."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge import runtime
from edge.errors import UsageError
from edge.spec import ModelSpec
from server.export import tflite
from server.export.reference import forward

pytest.importorskip("flatbuffers")


@st.composite
def specs(draw):
    widths = draw(st.lists(st.integers(1, 24), min_size=2, max_size=5))
    hidden = draw(st.sampled_from(["relu", "tanh", "linear"]))
    output = draw(st.sampled_from(["linear", "softmax", "tanh", "relu"]))
    return ModelSpec.mlp(widths, hidden=hidden, output=output)


def inputs(spec, seed, n=12):
    return np.random.default_rng(seed).uniform(-1, 1, (n, spec.n_in)).astype(np.float32)


quick = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@quick
@given(specs(), st.integers(0, 2**16))
def test_float_file_computes_the_model_in_every_runtime(spec, seed):
    parameters, x = spec.initial(seed), inputs(spec, seed)
    data = tflite.write(spec, parameters, name="m", labels=["a", "b"])
    found = runtime.available(data)
    expected = forward(spec, parameters, x)
    for one in found:
        np.testing.assert_allclose(one.run(x), expected, atol=1e-5, rtol=1e-5, err_msg=one.name)


@quick
@given(specs(), st.integers(0, 2**16), st.booleans())
def test_int8_runtimes_agree(spec, seed, per_channel):
    data = tflite.write_int8(
        spec, spec.initial(seed), inputs(spec, seed, 50), per_channel=per_channel, name="m"
    )
    codes = np.random.default_rng(seed).integers(-128, 128, (12, spec.n_in)).astype(np.int8)
    answers = [one.run(codes).astype(int) for one in runtime.available(data)]
    # One step in an inner layer can grow on its way to the output.
    tanh = any(layer.activation == "tanh" for layer in spec.layers)
    allowed = 1 if len(spec.layers) == 1 and not tanh else 16 if tanh else 4
    for answer in answers[1:]:
        assert np.abs(answer - answers[0]).max() <= allowed


@given(specs(), st.integers(0, 99))
def test_same_parameters_same_bytes(spec, seed):
    p, x = spec.initial(seed), inputs(spec, seed)
    assert tflite.write(spec, p, name="m") == tflite.write(spec, p.copy(), name="m")
    first = tflite.write_int8(spec, p, x, name="m")
    assert first == tflite.write_int8(spec, p.copy(), x.copy(), name="m")


def test_constants_are_aligned_to_16_bytes():
    spec = ModelSpec.mlp([3, 5, 2])
    p = np.arange(1, spec.n_parameters + 1, dtype=np.float32)
    data = tflite.write(spec, p, name="aligned")
    for weights, bias in spec.split(p):
        assert data.index(weights.tobytes()) % 16 == 0
        assert data.index(bias.tobytes()) % 16 == 0


def test_a_softmax_of_zeros_survives_int8():
    spec = ModelSpec.mlp([2, 3, 4], output="softmax")
    zero = np.zeros(spec.n_parameters, np.float32)
    data = tflite.write_int8(spec, zero, inputs(spec, 0), name="zero")
    for one in runtime.available(data):
        np.testing.assert_allclose(one.run(inputs(spec, 1)), 0.25, atol=1 / 256)


def test_a_dead_row_and_zero_weights_survive_int8():
    spec = ModelSpec.mlp([2, 3, 2])
    zero = np.zeros(spec.n_parameters, np.float32)
    data = tflite.write_int8(spec, zero, inputs(spec, 0), name="zero")
    for one in runtime.available(data):
        np.testing.assert_allclose(one.run(inputs(spec, 1)), 0, atol=1e-6)


def test_parameters_of_another_model_are_refused():
    spec = ModelSpec.mlp([2, 3, 2])
    with pytest.raises(UsageError, match=r"\(17,\) is needed"):
        tflite.write(spec, np.zeros(5, np.float32), name="m")
    with pytest.raises(UsageError, match="inputs of shape"):
        tflite.write_int8(spec, spec.initial(0), np.zeros((4, 9), np.float32), name="m")
