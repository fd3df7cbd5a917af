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
_MARK = "tried: "
_CHILD = "import sys; sys.path[:] = sys.argv[1:-1]; from server.bring.trial import run; run()"


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
    refused = ""
    for name in runtime.fitting(parts.front):
        found = _apart(parts.front, name)
        if found.get("width") == tail.n_in:
            return name
        if "width" in found:
            found = {"refused": f"{found['width']} features a sample came, not {tail.n_in}"}
        if "refused" in found:
            refused = refused or f"{name}: {found['refused']}"
    if refused:
        raise ArtifactError(
            f"no runtime here runs the hybrid: {refused}.",
            hint="--layer with an earlier tensor, or the model exported anew",
        )
    return ""


def run() -> None:
    """In a process of its own: run a front from standard input, in the runtime named last."""
    found = _run(sys.stdin.buffer.read(), sys.argv[-1])
    print(_MARK + json.dumps(found))


def _apart(front: bytes, name: str) -> dict[str, Any]:
    """What `run` says: runtimes are large C++ programs, and a broken file may end them."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, *sys.path, name],
            input=front, capture_output=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"refused": f"it gave no answer in {PATIENCE:.0f} seconds"}
    # Libraries print, too; ours is the line that is marked.
    lines = [line for line in done.stdout.decode("utf-8", "replace").splitlines() if _MARK in line]
    if not lines:
        return {"refused": f"it ended with code {done.returncode}"}
    said: dict[str, Any] = json.loads(lines[-1].partition(_MARK)[2])
    return said


def _run(front: bytes, name: str) -> dict[str, Any]:
    """How many features come of two samples of zeros; nothing where the runtime is not for us."""
    zeros = np.zeros((_SAMPLES, Artifact(front).input.elements), np.float32)
    try:
        return {"width": int(runtime.load(front, name).run(zeros).shape[1])}
    except (MissingExtra, UsageError):  # not here, or of the other format
        return {}
    except Exception as error:  # each runtime has exception types of its own
        return {"refused": " ".join(str(error).split())[:200]}
