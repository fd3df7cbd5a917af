"""What training costs a device in energy: an estimate from one emulated board."""

from dataclasses import dataclass

from edge.errors import TinyfleetError
from edge.messages import Plan

__all__ = ["BOARD", "TrainingEnergy", "training_energy"]

BOARD = "nano33ble"
"""The one board whose energy of a cycle is known."""
_SAMPLES = 4


@dataclass(frozen=True)
class TrainingEnergy:
    """Energy of training alone; radio, sensor and sleep are not in it.

    Args:
        board: on which one.
        step: joules of a training step.
        steps: how many steps there were.
        source: what the figure is derived from.
    """

    board: str
    step: float
    steps: int
    source: str

    @property
    def joules(self) -> float:
        """Of all steps together."""
        return self.step * self.steps


def training_energy(model: bytes, plan: Plan, *, steps: int) -> TrainingEnergy | None:
    """Measure some steps of a model on the emulated board, and scale.

    Args:
        model: bytes of the `.tflite`.
        plan: which layers are trained, and in which arithmetic.
        steps: samples learnt, all passes counted.

    Returns:
        The estimate, as if every device were that board; None where the board cannot train the
        model, or the emulator is not installed.
    """
    import numpy as np

    from edge.artifact import Artifact

    try:
        from firmware_sim.boards import get_board
        from firmware_sim.cycles import ENERGY_SOURCE, energy_joules
        from firmware_sim.measure import learning_cost
        from server.bench_models import ArraySensor

        spec = Artifact(model).spec
        rng = np.random.default_rng(0)
        x = rng.normal(size=(_SAMPLES, spec.n_in)).astype(np.float32)
        y = np.zeros((_SAMPLES, 1 if spec.loss == "cross_entropy" else spec.n_out), np.float32)
        cost = learning_cost(
            BOARD,
            model,
            ArraySensor(x, y),
            samples=_SAMPLES,
            rate=1e-6,
            train_layers=plan.train_layers,
            arithmetic=plan.arithmetic,
        )
    except (ImportError, TinyfleetError):
        return None
    each = energy_joules(get_board(BOARD), cost.cycles)
    return None if each is None else TrainingEnergy(BOARD, each, steps, ENERGY_SOURCE)
