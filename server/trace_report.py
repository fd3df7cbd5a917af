"""Trace any model on one emulated board: instructions by function, with estimates."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from edge.artifact import Artifact
from edge.errors import ArtifactError, UsageError
from firmware_sim.boards import get_board
from firmware_sim.cycles import ENERGY_SOURCE, energy_joules, table_of
from firmware_sim.measure import Cost, learning_cost, predicting_cost
from server.bench_models import ArraySensor

__all__ = ["TraceReport", "trace_model"]


@dataclass(frozen=True)
class TraceReport:
    """What a trace found.

    Args:
        cost: the figures.
        model: SHA-256 of the artefact.
    """

    cost: Cost
    model: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON; times and energy are estimates, and say so."""
        cost = self.cost
        everything = sum(share.instructions for share in cost.shares)
        energy = energy_joules(cost.board, cost.cycles)
        return {
            "board": cost.board.name,
            "core": cost.board.core,
            "model": self.model,
            "inside": cost.function,
            "calls": cost.calls,
            "instructions per call": round(cost.instructions, 1),
            "estimates per call": {
                "cycles": round(cost.cycles),
                "microseconds": round(cost.microseconds, 1),
                "microjoules": None if energy is None else round(energy * 1e6, 3),
                "cycles from": table_of(cost.board.core).source,
                "energy from": None if energy is None else ENERGY_SOURCE,
            },
            "peak stack bytes": cost.peak_stack,
            "functions": [
                {
                    "function": share.function,
                    "calls": share.entered,
                    "instructions": share.instructions,
                    "share": round(share.instructions / everything, 6),
                }
                for share in cost.shares
            ],
        }

    def summary(self) -> list[str]:
        """Lines for people."""
        cost, energy = self.cost, energy_joules(self.cost.board, self.cost.cycles)
        lines = [
            f"{cost.function} on {cost.board.title}: {cost.instructions:,.0f} instructions a call "
            f"(exact; mean of {cost.calls} calls)",
            f"about {cost.cycles:,.0f} cycles, {cost.microseconds:,.1f} us at "
            f"{cost.board.clock_hz / 1e6:g} MHz: estimates, not silicon; "
            f"{table_of(cost.board.core).source}",
        ]
        if energy is not None:
            lines.append(f"about {energy * 1e6:,.2f} uJ: {ENERGY_SOURCE}")
        return lines


def trace_model(
    data: bytes, *, board: str, samples: int, predict: bool, arithmetic: str
) -> TraceReport:
    """Learn or predict random samples on a board, and count.

    Args:
        data: the `.tflite`.
        board: a name of `firmware_sim.boards.BOARDS`.
        samples: how many.
        predict: predict instead of learn.
        arithmetic: mul_add or fma.

    Raises:
        ArtifactError: the model is not known, or has nothing to learn.
        UsageError: an unknown board, one whose core only QEMU has, or that has no fma.
    """
    artifact = Artifact(data)
    spec = artifact.spec
    chosen = get_board(board)
    if arithmetic == "fma" and not chosen.fpu:
        raise UsageError(f"{board} has no FPU, so it has no fma.", hint="--arithmetic mul_add")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(samples, spec.n_in)).astype(np.float32)
    targets = rng.normal(size=(samples, spec.n_out)).astype(np.float32)
    if spec.loss == "cross_entropy":
        targets = rng.integers(spec.n_out, size=(samples, 1)).astype(np.float32)
    learns = artifact.dtype != "int8"
    sensor = ArraySensor(x, targets)
    if predict:
        how: dict[str, Any] = {"arithmetic": arithmetic}
        cost = predicting_cost(board, data, x, sensor=sensor if learns else None, **how)
    elif learns:
        cost = learning_cost(board, data, sensor, samples=samples, rate=1e-4, arithmetic=arithmetic)
    else:
        raise ArtifactError("an int8 model has nothing to learn.", hint="--predict")
    return TraceReport(cost, artifact.sha256)
