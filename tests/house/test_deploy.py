"""What is shipped to run an agent as a service, and the example with a sensor of one's own."""

import configparser
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from edge.broker import LocalBroker
from server.cli.app import app

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy" / "systemd" / "tinyfleet-agent@.service"
PROGRAM = "/opt/tinyfleet/bin/tinyfleet"


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    return parser


def options_of_run() -> set[str]:
    group = typer.main.get_command(app).commands["edge"]  # type: ignore[attr-defined]
    return {name for param in group.commands["run"].params for name in param.opts}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    copy = tmp_path / "tinyfleet-agent@pi-1.service"
    copy.write_text(UNIT.read_text().replace(PROGRAM, "/bin/true"))
    command = ["systemd-analyze", "verify", "--man=no", str(copy)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (found.returncode, found.stderr) == (0, "")


def test_the_unit_starts_an_agent_that_there_is() -> None:
    service = unit()["Service"]
    words = service["ExecStart"].split()
    assert words[:3] == [PROGRAM, "edge", "run"]
    assert {word for word in words if word.startswith("--")} <= options_of_run()
    assert service["DynamicUser"] == service["NoNewPrivileges"] == "yes"
    assert service["StateDirectory"] in words[words.index("--state") + 1]


def test_the_example_of_settings_has_what_the_agent_reads() -> None:
    text = (UNIT.parent / "agent.env.example").read_text()
    names = set(re.findall(r"^(\w+)=", text, re.MULTILINE))
    group = typer.main.get_command(app).commands["edge"]  # type: ignore[attr-defined]
    known = {param.envvar for param in group.commands["run"].params}
    assert names - {"TINYFLEET_SAMPLES"} <= known


def test_the_container_starts_an_agent_that_there_is() -> None:
    text = (ROOT / "deploy" / "container" / "Containerfile").read_text()
    entry = re.search(r"^ENTRYPOINT \[(.*)\]$", text, re.MULTILINE)
    assert entry is not None
    words = re.findall(r'"([^"]*)"', entry[1])
    assert words[:3] == [PROGRAM, "edge", "run"]
    assert {word for word in words if word.startswith("--")} <= options_of_run()
    assert re.search(r"^USER agent$", text, re.MULTILINE)


def test_the_example_with_a_sensor_of_ones_own_runs(tmp_path: Path) -> None:
    with LocalBroker() as broker:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TINYFLEET_BROKER": broker.options.url,
        }
        agent = subprocess.Popen(
            [sys.executable, str(ROOT / "examples" / "agent_in_python.py")],
            env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert agent.stdout is not None and agent.stdout.readline() == "online\n"
        agent.send_signal(signal.SIGTERM)
        agent.communicate(timeout=20)
        assert agent.returncode == 0
    assert (tmp_path / "state-noise-1").is_dir()
