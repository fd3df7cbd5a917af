"""Exported convolutional `.tflite` files in the runtimes that others wrote."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge import runtime, steps
from edge.artifact import Artifact
from edge.errors import UsageError
from edge.spec import ModelSpec
from server.export import tflite
from server.export.reference import forward
from server.export.sqnr import sqnr
from tests.edge.convnets import FUSED, convnets, everything, inputs
from tests.edge.zoo import parameters

pytest.importorskip("flatbuffers")
quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@quick
@given(convnets())
def test_float_file_computes_the_model_in_every_runtime(spec):
    p, x = parameters(spec), inputs(spec, 4)
    data = tflite.write(spec, p, name="m")
    assert Artifact(data).spec == spec
    expected = forward(spec, p, x)
    for one in runtime.available(data):
        np.testing.assert_allclose(one.run(x), expected, atol=1e-5, rtol=1e-5, err_msg=one.name)


@quick
@given(convnets(FUSED), st.booleans())
def test_int8_runtimes_agree(spec, per_channel):
    x = inputs(spec, 20)
    data = tflite.write_int8(spec, parameters(spec), x, per_channel=per_channel, name="m")
    codes = np.random.default_rng(1).integers(-128, 128, (4, spec.n_in)).astype(np.int8)
    answers = [one.run(codes).astype(int) for one in runtime.available(data)]
    for answer in answers[1:]:
        assert np.abs(answer - answers[0]).max() <= 4


@pytest.mark.parametrize("per_channel", [True, False])
def test_every_kind_of_layer_keeps_25_db_in_int8(per_channel):
    spec = everything()
    p, x = parameters(spec), inputs(spec, 60)
    data = tflite.write_int8(spec, p, x, per_channel=per_channel, name="m")
    assert (Artifact(data).spec, Artifact(data).dtype) == (spec, "int8")
    assert data == tflite.write_int8(spec, p.copy(), x, per_channel=per_channel, name="m")
    for one in runtime.available(data):
        assert sqnr(forward(spec, p, x), one.run(x)) >= 25, one.name


@pytest.mark.parametrize("float_layers", [1, 2, 4, 5])
def test_a_hybrid_file_keeps_its_tail_in_float32(float_layers):
    spec = everything()
    p, x = parameters(spec), inputs(spec, 60)
    data = tflite.write_hybrid(spec, p, x, float_layers=float_layers, name="m")
    assert data == tflite.write_hybrid(spec, p, x, float_layers=float_layers, name="m")
    artifact = Artifact(data)
    assert (artifact.spec, artifact.dtype) == (spec, "float32")
    assert artifact.tail_spec.layers == spec.layers[artifact.frozen_layers :]
    assert artifact.tail_spec.n_parameters == spec.trained(float_layers)
    assert artifact.parameters().tobytes() == p[-spec.trained(float_layers) :].tobytes()
    for one in runtime.available(data):
        assert sqnr(forward(spec, p, x), one.run(x)) >= 25, one.name


def test_other_parameters_of_a_hybrid_file_move_only_its_tail():
    spec = everything()
    p, x = parameters(spec), inputs(spec, 60)
    artifact = Artifact(tflite.write_hybrid(spec, p, x, float_layers=2, name="m"))
    p[-spec.trained(2) :] *= 2
    changed = artifact.with_parameters(p[-spec.trained(2) :])
    assert changed.data == tflite.write_hybrid(spec, p, x, float_layers=2, name="m")


@pytest.mark.parametrize("float_layers", [0, 6, -1])
def test_a_hybrid_file_needs_both_parts(float_layers):
    spec = everything()
    with pytest.raises(UsageError, match="has 6 layers with weights"):
        tflite.write_hybrid(
            spec, parameters(spec), inputs(spec), float_layers=float_layers, name="m"
        )


def test_what_torch_calls_padding_1_at_stride_2_is_a_pad():
    torch = pytest.importorskip("torch")
    spec = ModelSpec.convnet(
        (8, 7, 3), [steps.conv(4, 3, stride=2, padding=(1, 1, 1, 1), activation="linear")]
    )
    p, x = parameters(spec), inputs(spec, 3)
    [(w, b)] = spec.split(p)
    images = torch.tensor(x.reshape(3, 8, 7, 3)).permute(0, 3, 1, 2)
    weights = torch.tensor(w.copy()).permute(0, 3, 1, 2)
    made = torch.nn.functional.conv2d(images, weights, torch.tensor(b.copy()), 2, 1)
    expected = made.permute(0, 2, 3, 1).reshape(3, -1).numpy()
    for one in runtime.available(tflite.write(spec, p, name="m")):
        np.testing.assert_allclose(one.run(x), expected, atol=1e-5, err_msg=one.name)
