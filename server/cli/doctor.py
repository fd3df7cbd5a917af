"""`tinyfleet doctor`: what is installed, what is missing, and the command that adds it."""

import importlib.util
import os
import shutil
import sys
from dataclasses import asdict, dataclass

import typer

from edge.errors import ExitCode
from server.cli.options import AsJson, print_json, print_table

SYSTEM_FOLDERS = os.pathsep.join(("/usr/local/sbin", "/usr/sbin", "/sbin"))


@dataclass(frozen=True)
class Check:
    """One thing that tinyfleet can use: whether it is here, what for, and how to add it."""

    name: str
    purpose: str
    present: bool
    detail: str
    remedy: str


PACKAGES = (
    ("numpy", "numpy", "the learner's twin, arrays", "pip install tinyfleet"),
    ("paho-mqtt", "paho.mqtt", "MQTT", "pip install tinyfleet"),
    ("cbor2", "cbor2", "messages", "pip install tinyfleet"),
    ("unicorn", "unicorn", "emulated microcontrollers", "pip install 'tinyfleet[sim]'"),
    ("ziglang", "ziglang", "rebuild firmware", "pip install 'tinyfleet[firmware]'"),
    ("pyserial", "serial", "boards on a serial port", "pip install 'tinyfleet[serial]'"),
    ("pyoxigraph", "pyoxigraph", "catalogue store", "pip install 'tinyfleet[catalog]'"),
    ("rdflib", "rdflib", "catalogue input and output", "pip install 'tinyfleet[catalog]'"),
    ("flatbuffers", "flatbuffers", "write .tflite", "pip install 'tinyfleet[server]'"),
    ("onnx", "onnx", "write .onnx", "pip install 'tinyfleet[server]'"),
    ("onnxruntime", "onnxruntime", "run .onnx", "pip install 'tinyfleet[onnx]'"),
    ("tflite-runtime", "tflite_runtime", "run .tflite", "pip install 'tinyfleet[tflite]'"),
    ("ai-edge-litert", "ai_edge_litert", "run .tflite", "pip install 'tinyfleet[tflite]'"),
    (
        "tflite-micro",
        "tflite_micro",
        "run .tflite as chips do",
        "pip install tflite-micro (x86_64)",
    ),
    ("torch", "torch", "pretrain, refine, import modules", "pip install 'tinyfleet[meta]'"),
    ("matplotlib", "matplotlib", "plots and reports", "pip install 'tinyfleet[server]'"),
    ("amqtt", "amqtt", "broker without Mosquitto", "pip install 'tinyfleet[broker]'"),
)

PROGRAMS = (
    ("mosquitto", "the broker", "apt-get install mosquitto"),
    ("qemu-system-arm", "second emulator", "apt-get install qemu-system-arm"),
    ("arm-none-eabi-gcc", "second firmware compiler", "apt-get install gcc-arm-none-eabi"),
    ("cc", "build the learner for this machine", "apt-get install gcc libc6-dev"),
)


def doctor(as_json: AsJson = False) -> int:
    """Say what is installed, what is missing, and which command adds it.

    Example: tinyfleet doctor --json
    """
    checks = [*_packages(), *_programs(), _learner(), _data()]
    if as_json:
        print_json({"python": sys.version.split()[0], "checks": [asdict(c) for c in checks]})
    else:
        rows = [
            ["ok" if c.present else "--", c.name, c.purpose, c.detail if c.present else c.remedy]
            for c in checks
        ]
        print_table(["", "name", "for", "found, or how to add it"], rows)
        missing = sum(not check.present for check in checks)
        typer.echo(f"\n{missing} of {len(checks)} missing." if missing else "\nNothing missing.")
    ground = {"numpy", "paho-mqtt", "cbor2"}
    broken = any(not check.present and check.name in ground for check in checks)
    return int(ExitCode.MISSING_EXTRA if broken else ExitCode.OK)


def _packages() -> list[Check]:
    from importlib import metadata

    checks = []
    for name, module, purpose, remedy in PACKAGES:
        try:
            present = importlib.util.find_spec(module) is not None
            detail = metadata.version(name) if present else ""
        except (ModuleNotFoundError, metadata.PackageNotFoundError):
            present, detail = False, ""
        checks.append(Check(name, purpose, present, detail, remedy))
    return checks


def _programs() -> list[Check]:
    search = os.pathsep.join((os.environ.get("PATH", ""), SYSTEM_FOLDERS))
    found = [(name, why, add, shutil.which(name, path=search)) for name, why, add in PROGRAMS]
    return [Check(name, why, path is not None, path or "", add) for name, why, add, path in found]


def _learner() -> Check:
    from edge.learner.build import library_path

    path = library_path()
    remedy = "install a C compiler; until then the NumPy twin is used"
    return Check("learner in C", "train at full speed", path is not None, str(path), remedy)


def _data() -> Check:
    from server.tasks.data import find

    path = find("omniglot_background.npz")
    remedy = "set TINYFLEET_DATA to a folder that has it; until then handwritten digits are used"
    return Check("Omniglot", "task characters", path is not None, str(path), remedy)
