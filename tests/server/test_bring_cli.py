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
    for word in ("2119808", "RESIZE_NEAREST_NEIGHBOR", "1 24 24 1", "scale=0.0039", "211810"):
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
