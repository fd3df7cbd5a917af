"""Exports as they are asked for: calibration, ends, hybrids, headers, and words in the files."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import runtime
from edge.artifact import Artifact
from edge.errors import UsageError
from edge.learner import OnlineLearner
from edge.spec import ModelSpec
from edge.steps import conv, dense
from server.cli import main
from server.export import tflite
from server.export.about import About, model_metadata
from server.export.encode import encode
from server.export.layers import layer_sqnr
from server.export.measured import Metric
from server.export.on_board import BoardAnswers, on_board
from server.export.quantise import CALIBRATIONS, Affine
from server.export.reference import forward
from server.export.sqnr import sqnr
from server.export.wanted import Wanted
from server.models import FOLDER

SPEC = ModelSpec.mlp([4, 12, 3], output="softmax")
P = SPEC.initial(3)
X = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
MSE = Metric("mse", lambda outputs, targets: float(((outputs - targets) ** 2).mean()), False)
ABOUT = About("net", "presence", ("no", "yes", "ü"), "scaled", "", "r1", 7, "CC-BY-4.0")


def test_every_format_and_dtype_that_is_wanted_is_written_and_no_other() -> None:
    wanted = Wanted(("tflite", "onnx", "c"), ("float32", "int8", "hybrid"))
    files = encode(SPEC, P, X, wanted, ABOUT)
    assert set(files) == {
        "model.f32.tflite", "model.int8.tflite", "model.hybrid.tflite",
        "model.f32.onnx", "model.int8.onnx",
        "model.f32.h", "model.int8.h", "model.hybrid.h",
    }  # fmt: skip
    assert encode(SPEC, P, X, wanted, ABOUT) == files
    assert set(encode(SPEC, P, X, Wanted(("c",), ("int8",)), ABOUT)) == {"model.int8.h"}


@pytest.mark.parametrize(
    "options",
    [
        {"formats": ("keras",)}, {"formats": ()}, {"dtypes": ("int4",)}, {"dtypes": ()},
        {"calibration": "guess"}, {"formats": ("onnx",), "dtypes": ("hybrid",)},
    ],
)  # fmt: skip
def test_what_there_is_not_is_refused(options) -> None:
    with pytest.raises(UsageError):
        Wanted(**options)


@pytest.mark.parametrize("how", CALIBRATIONS)
def test_each_calibration_gives_a_file_that_is_near(how) -> None:
    exact = OnlineLearner(tflite.write(SPEC, P, name="m"), infer_only=True).predict_many(X)
    data = tflite.write_int8(SPEC, P, X, calibration=how, name="m")
    found = OnlineLearner(data, infer_only=True).predict_many(X)
    assert np.abs(found - exact).mean() < 0.02


def test_rare_values_do_not_widen_a_range_that_leaves_them_out() -> None:
    values = np.random.default_rng(1).normal(size=50_000)
    values[7] = 1000.0
    whole, rare, least = (Affine.fitted(values, how) for how in CALIBRATIONS)
    assert rare.scale < whole.scale / 50
    assert rare.error(np.delete(values, 7)) < whole.error(np.delete(values, 7)) / 100
    assert least.error(values) <= whole.error(values)


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=2, max_size=60))
def test_a_fitted_scale_holds_zero_exactly_and_mse_is_never_worse(values) -> None:
    array = np.array(values)
    for how in CALIBRATIONS:
        found = Affine.fitted(array, how)
        assert found.restore(found.quantise(np.zeros(1))) == 0
        assert -128 <= found.zero <= 127 and found.scale > 0
    if np.ptp(array):
        covering = Affine.covering(array).error(array)
        assert Affine.fitted(array, "mse").error(array) <= covering * (1 + 1e-6) + 1e-9


def test_float_ends_take_and_give_float_and_leave_the_softmax_in_float() -> None:
    whole = tflite.write_int8(SPEC, P, X, name="m")
    ends = tflite.write_int8(SPEC, P, X, float_ends=True, name="m")
    assert Artifact(ends).describe().dtype == "float32" != Artifact(whole).describe().dtype
    names = [operator.name for operator in Artifact(ends).describe().operators]
    assert names[0] == "QUANTIZE" and names[-2:] == ["DEQUANTIZE", "SOFTMAX"]
    one = OnlineLearner(ends, infer_only=True).predict_many(X[:20])
    for of_whole, of_ends in zip(runtime.available(whole), runtime.available(ends), strict=True):
        np.testing.assert_allclose(of_ends.run(X[:20]), one, atol=1e-6)
        # An int8 softmax rounds what it gives to steps of 1/256.
        np.testing.assert_allclose(of_whole.run(X[:20]), one, atol=1.5 / 256)
    np.testing.assert_allclose(one.sum(axis=1), 1, atol=1e-6)
    board = on_board(ends, X[:20])
    assert isinstance(board, BoardAnswers) and np.array_equal(board.outputs, one)


def test_float_ends_of_a_model_without_a_softmax_give_the_same_numbers() -> None:
    spec = ModelSpec.mlp([4, 12, 3])
    whole = tflite.write_int8(spec, P, X, name="m")
    ends = tflite.write_int8(spec, P, X, float_ends=True, name="m")
    for one, other in zip(runtime.available(whole), runtime.available(ends), strict=True):
        np.testing.assert_allclose(one.run(X[:20]), other.run(X[:20]), atol=1e-6)


def test_float_ends_leave_a_first_layer_of_little_work_in_float_in_every_runtime() -> None:
    spec = ModelSpec.mlp([1, 32, 32, 1], hidden="tanh")
    parameters, x = spec.initial(0), np.linspace(-3, 3, 200, dtype=np.float32)[:, None]
    data = tflite.write_int8(spec, parameters, x, float_ends=True, name="m")
    names = [operator.name for operator in Artifact(data).describe().operators]
    assert names[:3] == ["FULLY_CONNECTED", "TANH", "QUANTIZE"] and names[-1] == "DEQUANTIZE"
    one = OnlineLearner(data, infer_only=True).predict_many(x)
    assert sqnr(forward(spec, parameters, x), one) > 30
    found = runtime.available(data)
    assert found
    for other in found:
        assert sqnr(one, other.run(x)) > 35
    board = on_board(data, x)
    assert isinstance(board, BoardAnswers) and np.array_equal(board.outputs, one[:20])


def test_the_words_are_in_the_fields_of_the_formats() -> None:
    files = encode(SPEC, P, X, Wanted(), ABOUT)
    for name in ("model.f32.tflite", "model.int8.tflite"):
        data = files[name].data
        assert b"TFLITE_METADATA" in data and b"M001" in data
        assert b"CC-BY-4.0" in data and "ü".encode() in data
        assert Artifact(data).name == "net"
    onnx = pytest.importorskip("onnx")
    for name in ("model.f32.onnx", "model.int8.onnx"):
        model = onnx.load_from_string(files[name].data)
        words = {entry.key: entry.value for entry in model.metadata_props}
        assert words == ABOUT.fields()
        assert json.loads(words["labels"]) == ["no", "yes", "ü"] and words["round"] == "7"


def test_metadata_is_read_as_its_schema_says() -> None:
    """ModelMetadata: name is field 0, description 1, license 5, min_parser_version 7."""
    import flatbuffers

    data = model_metadata(ABOUT)
    assert data[4:8] == b"M001"
    table = flatbuffers.table.Table(data, int.from_bytes(data[:4], "little"))

    def text(slot: int) -> str:
        return table.String(table.Offset(4 + 2 * slot) + table.Pos).decode()

    assert text(0) == "net" and text(5) == "CC-BY-4.0" and text(7) == "1.0.0"
    words = json.loads(text(1))
    assert words["task"] == "presence" and words["run"] == "r1"
    assert model_metadata(ABOUT) == data


def test_the_command_exports_a_file_for_all(tmp_path, capsys) -> None:
    model = tmp_path / "sine.tflite"
    from server.simulate import new_model
    from server.tasks import get_task

    model.write_bytes(new_model(get_task("sine"), seed=1).data)
    out = tmp_path / "out"
    options = ["--to", "tflite,onnx,c", "--dtype", "float32,int8,hybrid", "--out", str(out)]
    assert main(["server", "export", str(model), *options, "--calibration", "mse", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {entry["file"] for entry in listed} == {p.name for p in out.glob("model.*")}
    assert all("tinyfleet (c)" in e["runtimes"] for e in listed if e["file"].endswith(".tflite"))
    assert all(e["sqnr"] is None for e in listed if e["file"].endswith(".h"))
    assert (out / "model.hybrid.h").is_file() and (out / "parity.md").is_file()
    assert {p.name for p in out.glob("*.h")} == {f"model.{k}.h" for k in ("f32", "int8", "hybrid")}


def test_the_command_says_where_the_files_are_and_what_agreed(tmp_path, capsys) -> None:
    model, out = FOLDER / "sine.tflite", tmp_path / "out"
    options = ["--to", "tflite,c", "--dtype", "float32", "--out", str(out)]
    assert main(["server", "export", str(model), *options]) == 0
    said = capsys.readouterr().out
    assert "model.f32.h" in said and f"in {out}," in said
    assert "tinyfleet (c)" in said.split("agreed: ")[1]
    (tmp_path / "file").write_text("")
    assert main(["server", "export", str(model), "--out", str(tmp_path / "file")]) == 2
    assert "cannot write to the folder" in capsys.readouterr().err


def test_what_cannot_be_exported_is_said(tmp_path) -> None:
    for model, extra, said in (
        (FOLDER / "sine.tflite", ("--task", "characters"), "takes 1 values"),
        (tmp_path / "none.tflite", (), "cannot read"),
        (FOLDER / "sine.tflite", ("--dtype", "int4"), "int4"),
    ):
        with pytest.raises(UsageError, match=said):
            from server.exporting import export_file

            given = dict(zip(extra[::2], extra[1::2], strict=True))
            wanted = Wanted(dtypes=tuple(given.get("--dtype", "float32").split(",")))
            export_file(model, tmp_path / "x", wanted, given.get("--task"))


def test_a_loss_that_is_too_large_is_said_with_its_remedy(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("server.cli.export.MOST_LOSS", -1.0)
    options = ["--to", "tflite", "--out", str(tmp_path)]
    assert main(["server", "export", str(FOLDER / "sine.tflite"), *options]) == 0
    said = capsys.readouterr().err
    assert said.count("Try: --refine") == 1 and "model.int8.tflite is worse: mse +" in said


CONVNET = ModelSpec.convnet((8, 6, 1), [conv(4, stride=2), conv(4), dense(3, "softmax")])


def test_every_layer_of_a_quantised_file_is_measured() -> None:
    parameters = CONVNET.initial(1)
    x = np.random.default_rng(2).normal(size=(60, 48)).astype(np.float32)
    fine = tflite.write_int8(CONVNET, parameters, x, name="m")
    found = dict(layer_sqnr(fine, CONVNET, parameters, x))
    assert list(found) == ["conv0", "conv1", "dense2", "softmax2"]
    assert all(20 < value < 80 for value in found.values())
    coarse = tflite.write_int8(CONVNET, parameters, 30 * x, name="m")
    worse = dict(layer_sqnr(coarse, CONVNET, parameters, x))
    assert worse["conv0"] < found["conv0"] - 10
    hybrid = tflite.write_hybrid(CONVNET, parameters, x, float_layers=1, name="m")
    assert dict(layer_sqnr(hybrid, CONVNET, parameters, x))["conv1"] == found["conv1"]
