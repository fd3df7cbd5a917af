"""Exported `.onnx` files in onnxruntime, and the report that holds all files together."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

from edge import runtime  # noqa: E402
from edge.errors import ArtifactError, UsageError  # noqa: E402
from edge.spec import ModelSpec  # noqa: E402
from server.export import export_all, parity, tflite  # noqa: E402
from server.export import onnx as ours  # noqa: E402
from server.export.about import About  # noqa: E402
from server.export.bounds import ParityFailed  # noqa: E402
from server.export.measured import Metric, Samples  # noqa: E402
from server.export.reference import forward  # noqa: E402

MSE = Metric("mse", lambda outputs, targets: float(((outputs - targets) ** 2).mean()), False)


def trained(widths=(1, 24, 24, 1), steps=600):
    """A sine wave, fitted by full-batch gradient descent."""
    spec = ModelSpec.mlp(list(widths), hidden="tanh", output="linear")
    x = np.linspace(-3, 3, 200, dtype=np.float32)[:, None]
    y = np.sin(x)
    parameters = spec.initial(0)
    (w1, b1), (w2, b2), (w3, b3) = (tuple(a.copy() for a in p) for p in spec.split(parameters))
    for _ in range(steps):
        h1 = np.tanh(x @ w1.T + b1)
        h2 = np.tanh(h1 @ w2.T + b2)
        d3 = 2 * (h2 @ w3.T + b3 - y) / len(x)
        d2 = (d3 @ w3) * (1 - h2**2)
        d1 = (d2 @ w2) * (1 - h1**2)
        for w, b, d, into in ((w3, b3, d3, h2), (w2, b2, d2, h1), (w1, b1, d1, x)):
            w -= 0.1 * d.T @ into
            b -= 0.1 * d.sum(axis=0)
    return spec, spec.join([(w1, b1), (w2, b2), (w3, b3)]), x, y


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.integers(1, 20), min_size=2, max_size=5),
    st.sampled_from(["relu", "tanh", "linear"]),
    st.sampled_from(["linear", "softmax", "tanh", "relu"]),
    st.integers(0, 999),
)
def test_float_file_computes_the_model(widths, hidden, output, seed):
    spec = ModelSpec.mlp(widths, hidden=hidden, output=output)
    x = np.random.default_rng(seed).uniform(-1, 1, (9, spec.n_in)).astype(np.float32)
    data = ours.write(spec, spec.initial(seed), name="m")
    assert data == ours.write(spec, spec.initial(seed), name="m")
    expected = forward(spec, spec.initial(seed), x)
    np.testing.assert_allclose(runtime.load(data).run(x), expected, atol=1e-5, rtol=1e-5)


def test_versions_are_the_ones_old_runtimes_read():
    spec, parameters, x, _ = trained(steps=1)
    for data in (
        ours.write(spec, parameters, name="m"),
        ours.write_int8(spec, parameters, x, name="m"),
    ):
        model = onnx.load_from_string(data)
        assert model.ir_version == 8
        assert {one.domain: one.version for one in model.opset_import}[""] == 17


def test_a_trained_model_keeps_25_db_in_int8():
    spec, parameters, x, y = trained()
    files = {
        "m.int8.tflite": tflite.write_int8(spec, parameters, x, name="m"),
        "m.int8.onnx": ours.write_int8(spec, parameters, x, name="m"),
    }
    found = parity.report(spec, parameters, files, Samples(x, y, MSE))
    assert found.reference < 0.01
    for file in found.files:
        assert file.sqnr >= 25, file


def test_export_all_writes_the_same_bytes_twice(tmp_path):
    spec, parameters, x, y = trained(steps=50)
    about, samples = About("wave"), Samples(x, y, MSE)
    first = export_all(spec, parameters, x, tmp_path / "a", about, samples=samples)
    again = export_all(spec, parameters, x, tmp_path / "b", about, samples=samples)
    assert [one.sha256 for one in first] == [one.sha256 for one in again]
    assert {p.name for p in (tmp_path / "a").iterdir()} == {
        "model.f32.tflite",
        "model.int8.tflite",
        "model.f32.onnx",
        "model.int8.onnx",
        "parity.json",
        "parity.html",
        "SHA256SUMS",
        "parity.md",
    }
    stored = json.loads((tmp_path / "a" / "parity.json").read_text())
    for one, entry in zip(first, stored["files"], strict=True):
        assert one.path.read_bytes() == one.data
        assert (entry["file"], entry["sha256"]) == (one.path.name, one.sha256)
        assert entry["answers"]
    assert "model.int8.onnx" in (tmp_path / "a" / "parity.md").read_text()


def test_a_file_of_other_weights_fails_parity():
    spec, parameters, x, _ = trained(steps=1)
    wrong = parameters.copy()
    wrong[-1] += 0.01
    with pytest.raises(ParityFailed, match=r"off by 0\.01"):
        parity.report(
            spec, parameters, {"m.f32.tflite": tflite.write(spec, wrong, name="m")}, Samples(x)
        )
    wrong[-1] += 1
    with pytest.raises(ParityFailed, match="dB"):
        parity.report(
            spec, parameters, {"m.int8.onnx": ours.write_int8(spec, wrong, x, name="m")}, Samples(x)
        )


def test_broken_files_and_wrong_names_are_refused():
    spec, parameters, _, _ = trained(steps=1)
    with pytest.raises(ArtifactError, match="onnxruntime refuses"):
        runtime.load(b"not a model at all")
    with pytest.raises(UsageError, match="onnxruntime"):
        runtime.load(ours.write(spec, parameters, name="m"), "tflite-micro")
    with pytest.raises(UsageError, match="inputs of shape"):
        ours.write_int8(spec, parameters, np.zeros((0, 1), np.float32), name="m")
