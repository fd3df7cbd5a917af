"""One calibration for both formats: what samples do to the ranges of `.tflite` and `.onnx`."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from edge import runtime  # noqa: E402
from edge.spec import ModelSpec  # noqa: E402
from server.export import onnx as as_onnx  # noqa: E402
from server.export import tflite as as_tflite  # noqa: E402
from server.export.quantise import CALIBRATIONS, Affine, with_headroom  # noqa: E402
from server.export.reference import forward, layer_values  # noqa: E402
from tests.edge.convnets import everything, inputs  # noqa: E402
from tests.edge.zoo import parameters  # noqa: E402

FORMATS = pytest.mark.parametrize("write", [as_tflite.write_int8, as_onnx.write_int8])


def errors(write, spec, p, x):
    """Of each calibration: the file, and how far each of its answers is off."""
    files = {how: write(spec, p, x, calibration=how, name="m") for how in CALIBRATIONS}
    expected = forward(spec, p, x)
    return files, {
        how: np.abs(runtime.available(data)[0].run(x) - expected) for how, data in files.items()
    }


@FORMATS
def test_heavy_tails_are_worth_another_calibration_in_both_formats(write):
    spec = ModelSpec.mlp([16, 16])
    x = np.random.default_rng(0).standard_t(4, size=(20000, 16)).astype(np.float32)
    files, off = errors(write, spec, spec.initial(3), x)
    assert len(set(files.values())) == 3
    assert (off["mse"] ** 2).mean() < 0.8 * (off["minmax"] ** 2).mean()
    assert np.median(off["percentile"]) < 0.6 * np.median(off["minmax"])


@FORMATS
def test_even_samples_fill_their_range_and_mse_leaves_it(write):
    spec = ModelSpec.mlp([16, 16])
    x = np.random.default_rng(0).uniform(-1, 1, (400, 16)).astype(np.float32)
    files, _ = errors(write, spec, spec.initial(3), x)
    assert files["mse"] == files["minmax"]


def codes_of(data: bytes) -> dict[str, tuple[float, int]]:
    """Scale and zero point of every tensor that is quantised on the way."""
    graph = onnx.load_from_string(data).graph
    constants = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    return {
        node.input[0]: (float(constants[node.input[1]]), int(constants[node.input[2]]))
        for node in graph.node
        if node.op_type == "QuantizeLinear"
    }


@pytest.mark.parametrize("how", CALIBRATIONS)
def test_an_onnx_file_has_the_ranges_of_the_float64_reference(how):
    spec = everything()
    p, x = parameters(spec), inputs(spec, 60)
    found = codes_of(as_onnx.write_int8(spec, p, x, calibration=how, name="m"))
    values = layer_values(spec, p, x)
    for name, seen in (
        ("channels_first0", x),
        ("relu1", values[1].out),
        ("conv4", values[4].sum),
        ("tanh4", values[4].out),
        ("mean8", values[8].out),
        ("dense10", with_headroom(values[10].sum)),
    ):
        around = Affine.fitted(seen, how)
        assert found[name] == (np.float32(around.scale), around.zero + 128), name


def test_a_layer_that_is_always_zero_survives():
    spec = ModelSpec.mlp([2, 3, 2])
    p, x = np.zeros(spec.n_parameters, np.float32), np.ones((4, 2), np.float32)
    p[-2:] = 5
    data = as_onnx.write_int8(spec, p, x, name="m")
    np.testing.assert_allclose(runtime.available(data)[0].run(x), 5, atol=0.05)
