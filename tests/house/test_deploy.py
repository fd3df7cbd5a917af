"""The service and the image start the agent as documented, with no more rights than it needs."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from server.cli import main

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "deploy" / "systemd" / "tinyfleet-agent@.service"
IMAGE = ROOT / "deploy" / "container" / "Containerfile"


def unit() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", IMAGE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]  # type: ignore[misc]


def helped(command: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The help of a `tinyfleet` command line; fails if there is no such command."""
    assert Path(command[0]).name == "tinyfleet"
    assert main([*command[1:], "--help"]) == 0
    return capsys.readouterr().out


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd")
def test_systemd_takes_the_unit_and_finds_it_well_fenced(tmp_path: Path) -> None:
    program = tmp_path / "tinyfleet"
    program.symlink_to(sys.executable)
    here = tmp_path / "tinyfleet-agent@pi-1.service"
    here.write_text(UNIT.read_text().replace("/opt/tinyfleet/bin/tinyfleet", str(program)))
    verified = subprocess.run(["systemd-analyze", "verify", here], capture_output=True, text=True)
    about_ours = [line for line in verified.stderr.splitlines() if "tinyfleet" in line]
    assert (verified.returncode, about_ours) == (0, [])
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", here],
        capture_output=True,
        text=True,
        env=os.environ | {"LANG": "C.UTF-8"},
    )
    assert rated.returncode == 0, rated.stdout + rated.stderr


def test_the_unit_holds_what_the_document_says(capsys: pytest.CaptureFixture[str]) -> None:
    fields = unit()
    for name, value in (
        ("DynamicUser", "yes"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("StateDirectory", "tinyfleet/%i"),
        ("MemoryMax", "256M"),
        ("Restart", "always"),
        ("RestartPreventExitStatus", "2 3"),
    ):
        assert fields[name] == [value]
    text = helped(fields["ExecStart"][0].split(), capsys)
    given = dict(entry.split("=", 1) for entry in fields["Environment"][0].split())
    assert given["TINYFLEET_STATE"] == "%S/" + fields["StateDirectory"][0]
    example = (UNIT.parent / "agent.env").read_text()
    names = {*given, *re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE)}
    for name in names - {"PYTHONDONTWRITEBYTECODE"}:
        assert name in text
    assert "TINYFLEET_SAMPLES" in names


def test_the_image_is_slim_and_runs_the_agent_as_nobody_special(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = instructions()
    stages = [i for i, (name, _) in enumerate(found) if name == "FROM"]
    assert len(stages) == 2 and all("-slim" in found[i][1] for i in stages)
    last = dict(found[stages[1] :])
    assert int(last["USER"]) > 0
    text = helped(json.loads(last["ENTRYPOINT"]), capsys)
    helped(json.loads(last["HEALTHCHECK"].split("CMD")[1]), capsys)
    assert f"TINYFLEET_STATE={last['VOLUME']}" in last["ENV"] and "TINYFLEET_STATE" in text
    copied = {
        source
        for name, rest in found[: stages[1]]
        if name == "COPY"
        for source in rest.split()[:-1]
    }
    assert all((ROOT / source).exists() for source in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["setuptools"]["packages"]["find"]["include"]
    needed = {name.removesuffix("*") for name in packages} | set(
        project["project"]["license-files"]
    )
    assert needed | {project["project"]["readme"], "setup.py", "pyproject.toml"} == copied
