"""`sim deploy`: one file on one emulated board, held against a host runtime."""

import json
from pathlib import Path

import pytest

from edge.artifact import Artifact
from edge.budget import requirement
from edge.errors import ExitCode
from edge.spec import ModelSpec
from server.cli.app import main
from server.export.tflite import write

Capture = pytest.CaptureFixture[str]


def model(path: Path, widths: list[int]) -> Path:
    spec = ModelSpec.mlp(widths, output="softmax")
    path.write_bytes(write(spec, spec.initial(3), name="deployed"))
    return path


def test_a_model_that_fits_answers_as_the_host_does(tmp_path: Path, capsys: Capture) -> None:
    path = model(tmp_path / "m.tflite", [12, 16, 4])
    assert main(["sim", "deploy", str(path), "--board", "microbit", "--json"]) == ExitCode.OK
    report = json.loads(capsys.readouterr().out)
    assert report["agrees"] is True
    assert report["largest difference"] <= 1e-5
    assert report["can learn here"] is True
    assert report["arena bytes to learn"] == requirement(Artifact(path.read_bytes())).board_train
    assert report["instructions per prediction, link included"] > 12 * 16 + 16 * 4


def test_a_model_that_does_not_fit_is_refused_with_both_figures(
    tmp_path: Path, capsys: Capture
) -> None:
    path = model(tmp_path / "m.tflite", [400, 200, 10])
    code = main(["sim", "deploy", str(path), "--board", "microbit"])
    said = capsys.readouterr().err
    assert code == ExitCode.DOES_NOT_FIT
    assert str(path.stat().st_size) in said
    assert "there" in said


def test_a_broken_file_is_refused(tmp_path: Path, capsys: Capture) -> None:
    path = model(tmp_path / "m.tflite", [12, 16, 4])
    path.write_bytes(path.read_bytes()[:300])
    assert main(["sim", "deploy", str(path)]) == ExitCode.BAD_ARTIFACT
    assert "Traceback" not in capsys.readouterr().err
