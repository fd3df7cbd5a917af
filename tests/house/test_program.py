"""Hints name the command as it can be called from here, and say who came online."""

import sys
from pathlib import Path

import pytest

from edge.mqtt import BrokerOptions
from edge.session import DeviceSession
from edge.topics import DeviceTopics
from server.cli.edge import say_online
from server.cli.program import program
from server.unseen import spelt_out


def called(monkeypatch: pytest.MonkeyPatch, here: Path, started: str, path: str) -> str:
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "argv", [started])
    monkeypatch.setattr(sys, "executable", str(here / ".venv/bin/python"))
    monkeypatch.setenv("PATH", path)
    return program()


def test_the_command_is_named_as_a_shell_here_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "/somewhere/server/cli/__main__.py"
    assert called(monkeypatch, tmp_path, module, "").endswith(".venv/bin/python -m server.cli")
    script = tmp_path / ".venv/bin/tinyfleet"
    script.parent.mkdir(parents=True)
    script.touch(mode=0o755)
    for started in (module, ".venv/bin/tinyfleet", str(script)):
        assert called(monkeypatch, tmp_path, started, "") == ".venv/bin/tinyfleet"
        assert called(monkeypatch, tmp_path, started, str(script.parent)) == "tinyfleet"
    below = tmp_path / "runs"
    below.mkdir()
    monkeypatch.chdir(below)
    assert program() == "tinyfleet"
    monkeypatch.setenv("PATH", "")
    assert program() == str(script)


def test_a_device_that_comes_online_says_where_without_the_password(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Idle:
        running: str | None = None

    options = BrokerOptions(url="mqtt://user:secret@127.0.0.1:1883")
    worker = Idle()
    session = DeviceSession(options, DeviceTopics("lab", "pi-1"), worker)  # type: ignore[arg-type]
    say_online(session, options)
    worker.running = "ab" * 32
    say_online(session, options)
    out, err = capsys.readouterr()
    first, second = err.splitlines()
    assert out == ""
    assert first.startswith("pi-1 is online at mqtt://127.0.0.1:1883, site lab, no model yet")
    assert "model abababababab" in second
    assert "secret" not in err


def test_figures_are_spelt_out_for_people() -> None:
    assert spelt_out("mse_before", "mse") == "mse not adapted"
    assert spelt_out("mse_scratch_longer", "mse") == "mse from scratch, 10x longer"
    assert spelt_out("rounds", "mse") == "rounds"
