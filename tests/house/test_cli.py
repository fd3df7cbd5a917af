"""Every command has help with an example; errors are one clear line and a documented code."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from edge.errors import ExitCode
from server.cli.app import EXIT_CODES, app, main


def commands(
    command: Any | None = None, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    command = command or typer.main.get_command(app)
    children = getattr(command, "commands", {})
    if not children:
        yield path, command
    for name, child in children.items():
        yield from commands(child, (*path, name))


@pytest.mark.parametrize(("path", "command"), list(commands()), ids=lambda v: str(v)[:40])
def test_every_command_has_help_with_an_example(
    path: tuple[str, ...], command: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*path, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"Example: tinyfleet {' '.join(path)}" in " ".join(shown.split())
    for option in command.params:
        assert getattr(option, "help", None), f"{path}: {option.name} has no help"


def test_exit_codes_are_in_the_help() -> None:
    for code in ExitCode:
        assert f"{int(code)} " in EXIT_CODES


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from server.cli.app import main; main(['--help']);"
        "heavy = {'numpy', 'torch', 'onnx', 'rdflib', 'pyoxigraph', 'paho', 'matplotlib', 'rich'};"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 0
    assert result.stderr.strip() == "[]"


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("server simulate --task nonsense", ExitCode.USAGE, "nonsense"),
        ("server simulate --strategy nonsense", ExitCode.USAGE, "nonsense"),
        ("sim deploy /nowhere.tflite", ExitCode.USAGE, "/nowhere.tflite"),
        ("server run --broker mqtt://127.0.0.1:9", ExitCode.NO_BROKER, "127.0.0.1:9"),
        ("sim deploy m.onnx", ExitCode.BAD_ARTIFACT, "m.onnx is an ONNX model"),
        ("sim plan words.txt", ExitCode.BAD_ARTIFACT, "words.txt is no .tflite model"),
        ("catalog describe words.txt", ExitCode.BAD_ARTIFACT, "words.txt is no .tflite model"),
        ("catalog import m.onnx", ExitCode.USAGE, "m.onnx is no text"),
        ("server status /nowhere", ExitCode.USAGE, "/nowhere"),
        ("server simulate --rounds 1 --out /nowhere/m.tflite", ExitCode.USAGE, "/nowhere"),
        ("server simulate --rounds 1 --out m.onnx", ExitCode.USAGE, ".tflite"),
        ("server simulate --engine gpu", ExitCode.USAGE, "auto, loop, threads, processes, ray"),
        ("server simulate --clients 3 --robust krum:9", ExitCode.USAGE, "needs 21 devices"),
        ("server run --devices -1", ExitCode.USAGE, "--devices"),
        ("sim run --board pico --task sine --split foo", ExitCode.USAGE, "train or test"),
        ("sim run --board pico --task sine --first-client -1", ExitCode.USAGE, "client -1"),
        ("edge run --id a --samples task:sine:1000000", ExitCode.USAGE, "0 to 999999"),
        ("server sweep --set rate", ExitCode.USAGE, "Try: --set rate=VALUE1,VALUE2"),
        ("sim build --core m9 --out .", ExitCode.USAGE, "m9"),
        ("sim deploy m.tflite --samples 0", ExitCode.USAGE, "samples"),
        ("broker start --port 99999", ExitCode.USAGE, "--port"),
        ("edge gateway --port nonsense", ExitCode.USAGE, "NAME=PORT"),
        ("edge run --id a --samples no.npz", ExitCode.USAGE, "no.npz"),
        ("nonsense", ExitCode.USAGE, "nonsense"),
    ],
)
def test_an_error_is_one_clear_line(
    line: str,
    code: ExitCode,
    said: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.txt").write_text("No model but words.")
    (tmp_path / "m.onnx").write_bytes(b"\x08\x08\x12\xff" * 9)
    assert main(line.split()) == code
    captured = capsys.readouterr()
    assert said in captured.err
    assert "Traceback" not in captured.err


def test_doctor_speaks_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert {"numpy", "mosquitto", "unicorn", "torch", "tflite-micro"} <= {
        check["name"] for check in report["checks"]
    }
