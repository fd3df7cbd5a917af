"""The example of an agent with a sensor of one's own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from edge.broker import LocalBroker

ROOT = Path(__file__).parents[2]


def test_it_comes_online_and_ends_cleanly(tmp_path: Path) -> None:
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
