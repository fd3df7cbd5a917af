"""`pip install .` without extras gives an edge agent that runs; needs the package index."""

import json
import os
import signal
import subprocess
import venv
from pathlib import Path

import numpy as np
import pytest

from edge.broker import LocalBroker
from edge.topics import SiteTopics
from server.transports.mqtt import MqttTransport

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(os.environ.get("OFFLINE") == "1", reason="needs the package index"),
]


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("env")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    source = folder / "source"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(source)], check=True)
    subprocess.run([python, "-m", "pip", "install", "-q", str(source)], check=True, cwd=folder)
    return folder / "bin"


def test_the_base_install_is_small_and_holds_no_extra(scripts: Path) -> None:
    listing = subprocess.run(
        [scripts / "python", "-m", "pip", "list", "--format=json"],
        check=True,
        capture_output=True,
        cwd=scripts,
    )
    names = {entry["name"].lower() for entry in json.loads(listing.stdout)}
    assert {"numpy", "paho-mqtt", "cbor2", "tinyfleet"} <= names
    assert not names & {"torch", "onnx", "onnxruntime", "unicorn", "pyoxigraph", "matplotlib"}
    size = sum(p.stat().st_size for p in scripts.parent.glob("lib/**/*") if p.is_file())
    assert size < 160e6  # pip itself and compiled caches included


def test_the_agent_comes_online_and_ends_on_sigterm(scripts: Path, tmp_path: Path) -> None:
    samples = tmp_path / "samples.npz"
    np.savez(samples, x=np.zeros((4, 2), np.float32), y=np.zeros((4, 1), np.float32))
    with LocalBroker() as broker:
        options = ["--broker", broker.url, "--state", str(tmp_path / "state")]
        command = ["edge", "run", "--id", "pi-1", "--samples", str(samples), *options]
        agent = subprocess.Popen([scripts / "tinyfleet", *command], cwd=tmp_path)
        try:
            with MqttTransport(broker.options, SiteTopics("default")) as transport:
                assert transport.wait_for(1, 30.0) == ["pi-1"]
                agent.send_signal(signal.SIGTERM)
                assert agent.wait(20) == 0
        finally:
            agent.kill()
            agent.wait()


def test_a_missing_extra_is_one_clear_line(scripts: Path, tmp_path: Path) -> None:
    (tmp_path / "catalog").mkdir()
    for line, remedy in (
        (["catalog", "query", "fleet", "--catalog", "catalog"], "tinyfleet[catalog]"),
        (["sim", "deploy", "m.tflite"], "tinyfleet[sim]"),
    ):
        (tmp_path / "m.tflite").write_bytes(_model())
        result = subprocess.run(
            [scripts / "tinyfleet", *line], cwd=tmp_path, capture_output=True, text=True
        )
        assert result.returncode == 3, result.stderr
        assert remedy in result.stderr
        assert "Traceback" not in result.stderr


def _model() -> bytes:
    from edge.spec import ModelSpec
    from server.export.tflite import write

    spec = ModelSpec.mlp([2, 3, 1])
    return write(spec, spec.initial(0), name="m")


def test_an_installed_learner_is_the_one_that_installing_compiled(
    scripts: Path, tmp_path: Path
) -> None:
    """Even where a service has neither a compiler nor a folder to write to."""
    shown = subprocess.run(
        [scripts / "python", "-c", "import edge.learner as e; print(e.OnlineLearner.backend)"],
        check=True,
        cwd=tmp_path,
        env={"PATH": "", "XDG_CACHE_HOME": "/proc/nowhere", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert shown.stdout.strip() == "c"
