"""Run a new hybrid once, as a device would, before it is kept."""

import json
import subprocess
import sys
from typing import Any

import numpy as np

from edge import runtime
from edge.artifact import Artifact
from edge.errors import ArtifactError, MissingExtra, UsageError
from edge.learner import OnlineLearner
from edge.split import split

__all__ = ["LEARNER", "tried"]

LEARNER = "learner"
"""What runs a hybrid that holds nothing but layers that the learner knows."""
PATIENCE = 120.0
"""Seconds until a runtime that does not answer is given up."""
_SAMPLES = 2  # a batch that is not fixed must be one in truth
_CHILD = "import sys; sys.path[:] = sys.argv[1:]; from server.bring.trial import run; run()"


def tried(data: bytes) -> str:
    """Predict samples of zeros: the front in an installed runtime, the tail in the learner.

    Args:
        data: a hybrid.

    Returns:
        The runtime that ran it; `LEARNER` where none is needed; empty where none is installed.

    Raises:
        ArtifactError: every runtime that is here refuses it, ends or takes too long.
        LearnerError: its tail cannot be trained.
    """
    artifact = Artifact(data)
    parts = split(artifact)
    tail = OnlineLearner(data if parts is None else parts.tail.data)
    if parts is None:
        tail.predict_one(np.zeros(tail.n_in, np.float32))
        return LEARNER
    found = _apart(parts.front)
    if found.get("ran") and found["width"] != tail.n_in:
        found = {"refused": f"{found['width']} features a sample came, not {tail.n_in}"}
    if "refused" in found:
        raise ArtifactError(
            f"no runtime here runs the hybrid: {found['refused']}.",
            hint="--layer with an earlier tensor, or the model exported anew",
        )
    return str(found["ran"])


def run() -> None:
    """In a process of its own: read a front from standard input, and say which runtime ran it."""
    print(json.dumps(_in_any(sys.stdin.buffer.read())))


def _apart(front: bytes) -> dict[str, Any]:
    """What `run` says: runtimes are large C++ programs, and a broken file may end them."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, *sys.path],
            input=front, capture_output=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"refused": f"it gave no answer in {PATIENCE:.0f} seconds"}
    # Libraries print, too; ours is the line that is JSON.
    lines = [line for line in done.stdout.splitlines() if line.startswith(b'{"')]
    if not lines:
        return {"refused": f"the runtime ended with code {done.returncode}"}
    said: dict[str, Any] = json.loads(lines[-1])
    return said


def _in_any(front: bytes) -> dict[str, Any]:
    zeros = np.zeros((_SAMPLES, Artifact(front).input.elements), np.float32)
    refused = ""
    for name in runtime.RUNTIMES:
        try:
            features = runtime.load(front, name).run(zeros)
            return {"ran": name, "width": int(features.shape[1])}
        except (MissingExtra, UsageError):  # not here, or of the other format
            continue
        except Exception as error:  # each runtime has exception types of its own
            refused = refused or f"{name}: {' '.join(str(error).split())[:200]}"
    return {"refused": refused} if refused else {"ran": ""}
