"""An agent with a sensor of your own: samples from Python, rounds and deployments over MQTT.

python examples/agent_in_python.py        (a broker: tinyfleet broker start)
"""

import logging
import os
from pathlib import Path

import numpy as np

from edge.agent import run_agent
from edge.mqtt import BrokerOptions

logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)  # what it learns and runs

rng = np.random.default_rng(0)


class Noise:
    """Gives an input and its target; a target of NaN where nobody knows it."""

    def next_sample(self):
        """Float32 [inputs], and float32 [1] with a class index or [outputs]."""
        x = rng.standard_normal(2).astype(np.float32)
        return x, np.array([x.sum() > 0], np.float32)

    def rewind(self):
        """Give the samples of the round again; where there is no going back, go on."""


run_agent(
    BrokerOptions(url=os.environ.get("TINYFLEET_BROKER", "mqtt://127.0.0.1:1883")),
    site="default",
    device="noise-1",
    sensor=Noise(),
    state=Path("state-noise-1"),
    on_ready=lambda session: print("online", flush=True),
)
