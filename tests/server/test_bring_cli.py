"""`tinyfleet server import` as a user types it, and what is written about it."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from edge.artifact import Artifact
from edge.errors import ExitCode
from edge.spec import ModelSpec
from ontology.catalog import Catalog
from ontology.namespaces import TF
from server.cli.app import main
from server.export import onnx
from tests.server.foreign import FILES, NEEDED, ROOT, foreign

pytestmark = NEEDED


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "snoring.tflite"
    path.write_bytes(foreign("Snoring_Guardian"))
    return path


def test_a_file_is_shown(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["server", "import", str(model)]) == 0
    shown = capsys.readouterr().out
    for word in ("2119808", "RESIZE_NEAREST_NEIGHBOR", "1 24 24 1", "scale 0.0039", "211810"):
        assert word in shown
    assert "hybrid" not in shown and not Path("imported").exists()


def test_a_hybrid_is_written_shown_and_described(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["server", "import", str(model), "--classes", "3", "--tail-hidden", "8"]
    line += ["--out", str(tmp_path / "out"), "--describe-in", str(tmp_path / "catalog")]
    assert main([*line, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    made: dict[str, Any] = told["hybrid"]
    artifact = Artifact(Path(made["file"]).read_bytes())
    assert made["sha256"] == artifact.sha256 and made["bytes"] == artifact.size
    assert made["tail"] == [32, 8, 3] and made["front"] == "tflite"
    assert made["trainable"] == made["tail_parameters"] == artifact.tail_spec.n_parameters
    assert told["model"]["macs"] == 2119808 and len(told["model"]["layers"]) == 10
    assert main(line) == 0
    assert "tinyfleet[tflite]" in capsys.readouterr().out
    with Catalog.open(tmp_path / "catalog") as catalog:
        facts = catalog.facts(f"urn:sha256:{artifact.sha256}")
        origin = [str(term) for term in facts[TF + "convertedFrom"]]
    assert origin == [f"urn:sha256:{Artifact(model.read_bytes()).sha256}"]


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ("--classes 2 --outputs 2", ExitCode.USAGE, "both --classes and --outputs"),
        ("--loss mse", ExitCode.USAGE, "--classes N, or --outputs N"),
        ("--classes 2 --loss mse", ExitCode.USAGE, "which has softmax"),
        ("--classes 2 --tail-hidden many", ExitCode.USAGE, "32 or 32,16"),
        ("--classes 2 --tail-hidden 0", ExitCode.USAGE, "1 is least"),
        ("--classes 2 --pool sum", ExitCode.USAGE, "auto, flatten, mean"),
        ("--classes 2 --pool mean", ExitCode.USAGE, "--pool flatten"),
        ("--classes 2 --layer nothing", ExitCode.USAGE, "0 tensors of the file"),
        ("--classes 2 --name ../up", ExitCode.USAGE, "without folders"),
    ],
)
def test_what_cannot_be_is_refused(
    model: Path,
    tmp_path: Path,
    options: str,
    code: ExitCode,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = ["server", "import", str(model), "--out", str(tmp_path / "out"), *options.split()]
    assert main(line) == code
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--tail-hidden", "8"], "--tail-hidden came alone"),
        (["--layer", "9"], "--layer came alone"),
        (["--pool", "mean"], "--pool came alone"),
        (["--pool", "auto"], "--pool came alone"),
        (["--name", "mine"], "--name came alone"),
        (["--seed", "0"], "--seed came alone"),
        (["--input-shape", "1,4"], "snoring.tflite states its own"),
        (["--classes", "2", "--input-shape", "1,4"], "snoring.tflite states its own"),
    ],
)
def test_options_that_would_do_nothing_are_refused(
    model: Path, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["server", "import", str(model), *options]) == ExitCode.USAGE
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("linked", [False, True])
def test_the_model_itself_is_never_replaced(
    model: Path, tmp_path: Path, linked: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    before, out = model.read_bytes(), tmp_path
    if linked:
        out = tmp_path / "out"
        out.mkdir()
        (out / "snoring.tflite").hardlink_to(model)
    line = ["server", "import", str(model), "--classes", "2", "--out", str(out)]
    assert main([*line, "--name", "snoring"]) == ExitCode.USAGE
    assert "would replace" in capsys.readouterr().err
    assert model.read_bytes() == before and not list(tmp_path.rglob("*.new"))
    assert main(line) == 0 == main(line)
    assert model.read_bytes() == before


@pytest.mark.parametrize("name", ["\udcff", "", "..", "a\0b", "a/b", 300 * "a"])
def test_a_name_that_no_file_can_have_is_refused(
    model: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["server", "import", str(model), "--classes", "2", "--name", name]
    assert main([*line, "--out", str(tmp_path)]) == ExitCode.USAGE
    assert "name" in capsys.readouterr().err


def test_the_content_says_what_a_file_is_and_no_name_says_otherwise(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loud, bare = tmp_path / "LOUD.TFLITE", tmp_path / "bare"
    for path in (loud, bare):
        path.write_bytes(model.read_bytes())
        line = ["server", "import", str(path), "--classes", "2", "--out", str(tmp_path)]
        assert main(line) == 0
        assert (tmp_path / f"{path.stem}-hybrid.tflite").is_file()
    spec = ModelSpec.mlp([6, 5, 3], hidden="relu", output="softmax")
    wrong, other = tmp_path / "a.tflite", tmp_path / "b.onnx"
    wrong.write_bytes(onnx.write(spec, spec.initial(0), name="mlp"))
    other.write_bytes(model.read_bytes())
    capsys.readouterr()
    for command in (["server", "import"], ["catalog", "describe"], ["server", "evaluate"]):
        assert main([*command, str(wrong)]) == ExitCode.BAD_ARTIFACT
        assert "a.tflite is an ONNX model under" in capsys.readouterr().err
        assert main([*command, str(other)]) == ExitCode.BAD_ARTIFACT
        assert "rename it to b.tflite" in capsys.readouterr().err
    assert main(["catalog", "describe", str(loud)]) == 0
    assert "scale 0.0039" in capsys.readouterr().out


def test_an_onnx_is_imported_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = ModelSpec.mlp([6, 5, 3], hidden="relu", output="softmax")
    path = tmp_path / "mlp.onnx"
    path.write_bytes(onnx.write(spec, spec.initial(0), name="mlp"))
    line = ["server", "import", str(path), "--outputs", "2", "--loss", "mse", "--json"]
    line += ["--out", str(tmp_path), "--describe-in", str(tmp_path / "catalog")]
    assert main(line) == 0
    made = json.loads(capsys.readouterr().out)["hybrid"]
    artifact = Artifact((tmp_path / "mlp-hybrid.onnx").read_bytes())
    assert made["sha256"] == artifact.sha256 and made["front"] == "onnx"
    assert artifact.tail_spec == ModelSpec.mlp([5, 2], hidden="relu", output="linear")


def test_other_files_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    junk = tmp_path / "junk.tflite"
    junk.write_bytes(b"junk" * 40)
    assert main(["server", "import", str(junk)]) == ExitCode.BAD_ARTIFACT
    assert main(["server", "import", str(tmp_path / "none.tflite")]) == ExitCode.USAGE
    assert main(["server", "import", "model.h5"]) == ExitCode.USAGE
    assert "model.h5" in capsys.readouterr().err


def test_the_table_of_results_is_what_comes_out() -> None:
    spec = importlib.util.spec_from_file_location("table", ROOT / "tools" / "import_table.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = (ROOT / "docs" / "IMPORT.md").read_text()
    between = written.split("<!-- table -->\n")[1].split("\n<!-- end -->")[0]
    assert between == module.table(FILES[0].parent), "run: python tools/import_table.py FOLDER"


@pytest.mark.parametrize("command", ["plan", "deploy", "trace"])
def test_that_no_board_runs_a_hybrid_is_said(
    command: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = ModelSpec.mlp([6, 5, 3], hidden="relu", output="softmax")
    mlp = tmp_path / "mlp.onnx"
    mlp.write_bytes(onnx.write(spec, spec.initial(0), name="mlp"))
    for path in (model, mlp):
        line = ["server", "import", str(path), "--classes", "2", "--out", str(tmp_path)]
        assert main(line) == 0
    capsys.readouterr()
    assert main(["sim", command, str(tmp_path / "snoring-hybrid.tflite")]) == ExitCode.BAD_ARTIFACT
    said = capsys.readouterr().err
    assert "no board runs" in said and "RESIZE_NEAREST_NEIGHBOR" in said
    assert "A Linux host with a runtime for .tflite does." in said and "server rollout" in said
    assert main(["sim", command, str(tmp_path / "mlp-hybrid.onnx")]) == ExitCode.BAD_ARTIFACT
    said = capsys.readouterr().err
    assert "runs on Linux hosts only" in said and "export" not in said
    assert main(["sim", command, str(model)]) == ExitCode.BAD_ARTIFACT
    assert "no board runs" in capsys.readouterr().err
