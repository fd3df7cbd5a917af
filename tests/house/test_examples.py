"""Every example runs, and says what it should."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edge.profile import LINUX
from firmware_sim.boards import BOARDS
from ontology.catalog import Catalog

ROOT = Path(__file__).resolve().parents[2]


ENDING = sorted(set((ROOT / "examples").glob("*.py")) - {ROOT / "examples" / "agent_in_python.py"})
"""Those that end by themselves; `test_agent_example` runs the other."""


@pytest.mark.parametrize("path", ENDING, ids=lambda p: p.name)
def test_a_python_example_runs(path: Path, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, path], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    if path.name == "learn_online.py":
        first, last = map(
            float, re.findall(r"loss ([\d.]+) at first, ([\d.]+) now", result.stdout)[0]
        )
        assert last < first / 10
    if path.name in ("board_in_python.py", "convnet_on_board.py"):
        assert "same bits: True" in result.stdout
        assert re.search(r"the board learnt \d+ \w+[:,]", result.stdout)
        assert "BoardTraining(" not in result.stdout
    if path.name == "convnet_on_board.py":
        assert "it can learn here: True" in result.stdout
        assert (tmp_path / "stripes.tflite").read_bytes()[4:8] == b"TFL3"


def test_the_cohort_example_chooses_by_core_and_memory() -> None:
    with Catalog.open() as catalog:
        for name, profile in {"m4": BOARDS["nano33ble"], "m0": BOARDS["pico"], "pi": LINUX}.items():
            thing = profile.thing_description(name, site="lab", arena=200_000, slot=400_000)
            catalog.put_thing(thing)
            catalog.set_status(f"urn:tinyfleet:lab:{name}", True)
        rows = catalog.query((ROOT / "examples" / "m4f-devices.rq").read_text())
        assert [row["device"] for row in rows] == ["urn:tinyfleet:lab:m4"]
