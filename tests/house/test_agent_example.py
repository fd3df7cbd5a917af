"""The example of an agent with a sensor of one's own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edge import mqtt
from edge.broker import LocalBroker
from edge.messages import Offer, Plan
from edge.spec import ModelSpec
from edge.topics import SiteTopics
from tests.edge.models import model, sha

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_it_comes_online_says_what_it_learns_and_ends_cleanly(
    tmp_path: Path, end: signal.Signals
) -> None:
    with LocalBroker() as broker:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TINYFLEET_BROKER": broker.options.url,
        }
        agent = subprocess.Popen(
            [sys.executable, str(ROOT / "examples" / "agent_in_python.py")],
            env=environment, cwd=tmp_path, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert agent.stdout is not None and agent.stdout.readline() == "online\n"
        data, topics = model(1, ModelSpec.mlp([2, 4, 2], output="softmax")), SiteTopics("default")
        offer = Offer("r1", 1, sha(data), ("noise-1",), Plan("s", 0.1, 8), 0.0, "o1")
        server = mqtt.connect(broker.options)
        server.publish(topics.model(sha(data)), data, qos=1, retain=True)
        server.publish(topics.offer("r1"), offer.encode(), qos=1)
        assert agent.stderr is not None
        assert "noise-1 learnt 8 samples in round 1 of r1: mean loss" in agent.stderr.readline()
        mqtt.close(server)
        agent.send_signal(end)
        _, said = agent.communicate(timeout=20)
        assert (agent.returncode, said) == (0, "")
    assert (tmp_path / "state-noise-1").is_dir()
