"""What else is counted of an exported file on emulated boards: learning, and a core without FPU."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edge.artifact import Artifact
from edge.budget import first_of_tail, requirement
from edge.errors import TinyfleetError
from edge.replay import Replay
from edge.spec import ModelSpec
from server.export.measured import Counted, Learning, Samples
from server.export.on_board import BOARD

__all__ = ["SMALL_BOARD", "learning", "without_fpu"]

SMALL_BOARD = "pico"
"""A board whose core, Cortex-M0+, has no floating-point unit."""
_SAMPLES = 5
_RATE = 1e-3  # small, so that a step leads nowhere; instructions do not depend on it
_MOST_MACS = 300_000
"""Multiply-accumulates that are counted; beyond, one prediction without FPU takes seconds."""


def learning(data: bytes, samples: Samples) -> Learning:
    """What of a `.tflite` learns on a board, and what one SGD step costs there.

    Args:
        data: bytes of a `.tflite` that the learner knows.
        samples: the first few are learnt, with their targets.
    """
    artifact = Artifact(data)
    need, weighted = requirement(artifact), [part.weights is not None for part in artifact.chain]
    if not need.board_train:
        return Learning(0, sum(weighted), 0, Counted(BOARD, why="nothing in it can be trained"))
    layers = sum(weighted[first_of_tail(artifact, 0) :])
    step = _step(artifact, samples)
    return Learning(layers, sum(weighted), need.board_train, step)


def _step(artifact: Artifact, samples: Samples) -> Counted:
    from firmware_sim.measure import learning_cost

    x, y = samples.x, samples.y
    if y is None:
        return Counted(BOARD, why="the samples have no targets")
    if not _takes(artifact.spec, y):
        return Counted(BOARD, why="the learner takes other targets than the samples have")
    sensor = Replay(x, y)

    def count(n: int) -> float:
        return learning_cost(BOARD, artifact.data, sensor, samples=n, rate=_RATE).instructions

    return _counted(BOARD, artifact, count, len(x), train=True)


def _takes(spec: ModelSpec, y: NDArray[np.float32]) -> bool:
    if y.ndim != 2 or y.shape[1] != spec.n_target or not np.isfinite(y).all():
        return False
    classes = spec.loss == "cross_entropy"
    return not classes or bool(((y >= 0) & (y < spec.n_out) & (y == np.floor(y))).all())


def without_fpu(data: bytes, x: NDArray[np.float32]) -> Counted:
    """Instructions of a prediction on a board whose core has no floating-point unit.

    Args:
        data: bytes of a `.tflite` that the learner knows.
        x: float32 [n, n_in]; the first few are predicted.
    """
    from firmware_sim.measure import predicting_cost

    def count(n: int) -> float:
        return predicting_cost(SMALL_BOARD, data, x[:n]).instructions

    return _counted(SMALL_BOARD, Artifact(data), count, len(x), train=False)


def _counted(
    board: str, artifact: Artifact, count: Callable[[int], float], there: int, *, train: bool
) -> Counted:
    from firmware_sim.planner import plan_memory

    plan = plan_memory(artifact, board)
    if not (plan.learns if train else plan.predicts):
        return Counted(board, why="the board has no room for it")
    if plan.macs > _MOST_MACS:
        return Counted(board, why=f"more than {_MOST_MACS:,} multiply-accumulates")
    try:
        return Counted(board, round(count(min(_SAMPLES, there, _MOST_MACS // max(plan.macs, 1)))))
    except TinyfleetError as error:
        return Counted(board, why=error.message.rstrip("."))
