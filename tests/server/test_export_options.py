"""Options of `server export`: none is idle in silence, and the table says what files cost."""

import json
from pathlib import Path

import pytest

from edge.errors import UsageError
from server.cli import main
from server.export.wanted import Wanted
from server.models import FOLDER

SINE = str(FOLDER / "sine.tflite")


@pytest.mark.parametrize(
    ("options", "idle"),
    [
        ("--to tflite --dtype float32 --calibration mse", "--calibration mse"),
        ("--to tflite,c --dtype float32 --per-tensor", "--per-tensor"),
        ("--to onnx --dtype float32 --refine", "--refine"),
        ("--to tflite --dtype float32,hybrid --refine", "--refine"),
        ("--to onnx --dtype int8 --float-ends", "--float-ends"),
        ("--to tflite --dtype hybrid --float-ends", "--float-ends"),
        ("--to tflite --dtype int8 --float-layers 2", "--float-layers"),
        ("--to onnx --dtype int8,hybrid --float-layers 2", "--float-layers"),
    ],
)
def test_an_option_that_changes_no_file_is_refused(options, idle, tmp_path, capsys) -> None:
    assert main(["server", "export", SINE, *options.split(), "--out", str(tmp_path / "o")]) == 2
    said = capsys.readouterr().err
    assert f"{idle} changes none of the files" in said and "--dtype" in said
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    "options",
    [
        {"calibration": "mse"},
        {"per_channel": False, "dtypes": ("float32", "hybrid")},
        {"refined": True, "formats": ("onnx",)},
        {"float_ends": True},
        {"float_ends": True, "formats": ("onnx", "c")},
        {"float_layers": 2, "dtypes": ("int8", "hybrid")},
    ],
)
def test_an_option_that_changes_one_file_is_fine(options) -> None:
    Wanted(**options).refuse_idle()


def test_a_hybrid_that_is_not_written_as_onnx_is_said(tmp_path, capsys) -> None:
    out = ["--out", str(tmp_path)]
    assert main(["server", "export", SINE, "--to", "onnx", "--dtype", "float32,hybrid", *out]) == 0
    assert "no hybrid .onnx, and none is written. Try: --to tflite" in capsys.readouterr().err
    assert [path.name for path in tmp_path.glob("model.*")] == ["model.f32.onnx"]
    assert not Wanted(dtypes=("float32", "int8")).left_out


def test_layers_of_a_hybrid_that_there_are_not_are_said_in_words_of_the_command(
    tmp_path, capsys
) -> None:
    options = ["--to", "tflite", "--dtype", "hybrid", "--float-layers", "9"]
    assert main(["server", "export", SINE, *options, "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "--float-layers 1 to 2" in said and "--dtype float32" in said and "`" not in said


def test_the_table_has_what_a_prediction_costs_and_the_metric(tmp_path, capsys) -> None:
    options = ["--to", "tflite,c", "--dtype", "float32,int8", "--out", str(tmp_path)]
    assert main(["server", "export", SINE, *options]) == 0
    header, exact, _, in_c, *remarks = capsys.readouterr().out.splitlines()
    assert header.split() == [
        "file", "bytes", "SQNR", "dB", "mse", "change", "instructions", "RAM", "sha256",
    ]  # fmt: skip
    assert exact.split()[4] == "0.0%" and any("nano33ble" in line for line in remarks)
    assert in_c.split()[2:6] == ["-"] * 4
    assert (
        in_c.split()[1] == exact.split()[1] == str((tmp_path / "model.f32.tflite").stat().st_size)
    )
    assert "bytes of a header are those of the model that it holds" in remarks
    assert all(len(line) <= 100 for line in (header, exact, in_c))
    assert main(["server", "export", SINE, *options, "--json"]) == 0
    exact, int8, *_ = json.loads(capsys.readouterr().out)
    for entry in (exact, int8):
        assert entry["board"] == "nano33ble" and entry["metric_name"] == "mse"
        assert entry["instructions"] > 1000 and entry["arena"] > 100
    assert f"{exact['metric']:.4f}" and abs(int8["loss"]) < 0.1


def test_why_no_board_ran_a_file_is_no_name_of_a_board(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("server.export.answers.on_board", lambda *_: "no room")
    options = ["--to", "tflite", "--dtype", "float32", "--out", str(tmp_path), "--json"]
    assert main(["server", "export", SINE, *options]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["board"], entry["instructions"], entry["arena"]) == ("", 0, 0)


def test_what_an_int8_file_cannot_do_is_said_in_words_of_the_command(tmp_path, capsys) -> None:
    options = ["--to", "tflite", "--dtype", "int8", "--out", str(tmp_path)]
    assert main(["server", "export", SINE, *options]) == 0
    assert main(["server", "evaluate", str(Path(tmp_path) / "model.int8.tflite")]) != 0
    said = capsys.readouterr().err
    assert "no float32 layer to train" in said and "infer_only" not in said


def test_the_library_refuses_only_what_there_is_not() -> None:
    with pytest.raises(UsageError, match=r"no \.onnx"):
        Wanted(("onnx",), ("hybrid",))
