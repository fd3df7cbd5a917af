"""`tinyfleet catalog import` and `match --explain`, as a user types them."""

import json
import os
from pathlib import Path

import pytest

from server.cli.app import main

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("TINYFLEET_DATA", ROOT.parent / "shared" / "data"))
FOLDER = DATA / "tinyml_catalogue"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the published catalogue is not here")


def test_import_reports_and_match_explains(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = ["--catalog", str(tmp_path / "c")]
    assert main(["catalog", "import", str(FOLDER), *store, "--faults", "--compare"]) == 0
    text = capsys.readouterr().out
    assert "devices/ms200.ttl:29: double-colon: sosa_extend::Magnetometer" in text
    assert "23 models and 9 devices" in text and "0 are not." in text
    assert main(["catalog", "import", str(FOLDER), *store, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["faults"]) == 476
    pair = ["--model", "Person_Detection", "--device", "MS200_1"]
    assert main(["catalog", "match", *pair, "--explain", *store]) == 0
    text = capsys.readouterr().out
    assert "FAILS  sensors: needs camera, has accelerometer, gyroscope, magnetometer" in text
    assert "FAILS  RAM to predict, bytes: needs 94128, has 31000" in text
    assert "holds  size of the file, bytes: needs 236072, has 498000" in text
    assert main(["catalog", "match", *pair, "--explain", "--json", *store]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert any(c["name"] == "sensors" and not c["holds"] for c in found["conditions"])
