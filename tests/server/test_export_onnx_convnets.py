"""Exported convolutional `.onnx` files in onnxruntime."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from edge import runtime
from server.export import onnx
from server.export.reference import forward
from server.export.sqnr import sqnr
from tests.edge.convnets import convnets, everything, inputs
from tests.edge.zoo import parameters


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(convnets())
def test_float_file_computes_the_model(spec):
    p, x = parameters(spec), inputs(spec, 4)
    data = onnx.write(spec, p, name="m")
    assert data == onnx.write(spec, p.copy(), name="m")
    np.testing.assert_allclose(runtime.load(data).run(x), forward(spec, p, x), atol=1e-5, rtol=1e-5)


def test_every_kind_of_layer_keeps_25_db_in_int8():
    spec = everything()
    p, x = parameters(spec), inputs(spec, 60)
    data = onnx.write_int8(spec, p, x, name="m")
    assert sqnr(forward(spec, p, x), runtime.load(data).run(x)) >= 25
