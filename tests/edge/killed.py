"""Agent processes that tests kill, and what their state folders must hold afterwards."""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.broker import LocalBroker
from edge.learner import OnlineLearner
from edge.messages import Command
from tests.edge.hub import Hub

ROOT = Path(__file__).resolve().parents[2]
Process = subprocess.Popen[str]


@contextmanager
def agent(
    broker: LocalBroker, state: Path, samples: str, keep_every: float = 5.0, device: str = "k1"
) -> Iterator[Process]:
    """`tinyfleet edge run` as a device of site lab; killed with SIGKILL at the end, if not before.

    Args:
        samples: as for the command; "-": write lines to its stdin.
    """
    command = [sys.executable, "-m", "server.cli", "edge", "run", "--id", device, "--site"]
    command += ["lab", "--broker", broker.url, "--samples", samples, "--state", str(state)]
    command += ["--keep-every", str(keep_every)]
    log = state.with_suffix(".log").open("a")
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=log, stderr=log, text=True
    )
    try:
        yield process
    finally:
        kill(process)
        log.close()


def kill(process: Process) -> None:
    """SIGKILL, and wait until it is gone."""
    process.kill()
    process.wait()


def feed(process: Process, x: NDArray[np.float32], y: NDArray[np.int64]) -> None:
    """Write samples to an agent's stdin."""
    assert process.stdin is not None
    for values, label in zip(x, y, strict=True):
        process.stdin.write(json.dumps({"x": values.tolist(), "y": int(label)}) + "\n")
    process.stdin.flush()


def online(hub: Hub) -> str | None:
    """Wait until the agent is online; gives which model it runs."""
    return hub.state("online", "k1").running


def answers(hub: Hub, name: str, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the agent's model says of inputs."""
    ack = hub.ask(Command("predict", name, x=x), "k1")
    assert ack.ok and ack.y is not None, ack
    return ack.y


def until(ready: Callable[[], bool], seconds: float = 15.0) -> None:
    """Wait without a pause, so that a kill comes as soon as can be."""
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end
        time.sleep(0)


def learnt_after(data: bytes, x: NDArray[np.float32], y: NDArray[np.int64], rate: float) -> list:
    """Outputs for `x` after 0, 1, 2, ... steps, by the learner itself: the oracle."""
    learner = OnlineLearner(data)
    outputs = [learner.predict_many(x)]
    for values, label in zip(x, y, strict=True):
        learner.learn_one(values, label, rate=rate)
        outputs.append(learner.predict_many(x))
    return outputs


def whole(state: Path) -> None:
    """Every artefact that the index of a folder names is there, and is what its name says."""
    for sha in json.loads((state / "index.json").read_bytes()):
        data = (state / f"{sha}.model").read_bytes()
        assert hashlib.sha256(data).hexdigest() == sha
