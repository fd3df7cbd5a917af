"""Imports run one way: edge <- firmware_sim, ontology <- server."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINTER = "import sys; from importlinter.cli import lint_imports_command as c; sys.exit(c([]))"


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LINTER], cwd=folder, capture_output=True, text=True, check=False
    )


def test_the_layers_hold() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "3 kept, 0 broken" in result.stdout


def test_an_import_against_the_stream_is_caught(tmp_path: Path) -> None:
    for room in ("edge", "firmware_sim", "ontology", "server"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").touch()
    for module in ("agent", "gateway"):
        (tmp_path / "edge" / f"{module}.py").touch()
    for module in ("strategies", "rounds", "tasks", "export", "simulate"):
        (tmp_path / "server" / f"{module}.py").touch()
    (tmp_path / "edge" / "wrong.py").write_text("import server\n")
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    result = lint_imports(tmp_path)
    assert result.returncode != 0
    assert "edge.wrong -> server" in result.stdout
