"""Eight points of an unseen wave.

The model in server/models was meta-trained through all steps of a device (`tinyfleet server
pretrain --task sine`). Beside it, on the same points: reptile over simulated devices, which needs
no gradient but theirs; and fresh weights, at the best of some rates, with ten times the passes.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from server.evaluate import Adaptation, adapted, from_scratch
from server.figures import Figure, figure
from server.fleet import FleetEngine
from server.models import model
from server.simulate import simulate
from server.strategies import get_strategy
from server.tasks.sine import SineTask

SEEDS = (0, 1, 2)
WAVES = 100
ROUNDS = 2000
PASSES = 8
TASK = SineTask()


def figures(data: Path | None) -> Iterator[Figure]:
    """Mean squared error after adapting."""
    del data  # waves are drawn
    how = Adaptation(8, PASSES, 0.0003, queries=100)
    before, after = adapted(TASK, model("sine"), how, clients=WAVES, seeds=SEEDS)
    note = f"[95 %: {after}], not adapted {before.mean:.2f}; {PASSES} passes, {WAVES} waves"
    yield figure("sine.mse8", after.mean, "mse", "<= 0.08", note)
    note = f"32 passes; {ROUNDS:,} rounds of 128 devices"
    yield figure(
        "sine.reptile", float(np.mean([_reptile(seed) for seed in SEEDS])), "mse", "", note
    )
    longer = Adaptation(8, 10 * PASSES, 0.001, queries=100)
    alone = from_scratch(TASK, model("sine"), longer, clients=WAVES, seeds=SEEDS)
    yield figure("sine.local", alone.mean, "mse", "", f"alone, {10 * PASSES} passes")


def _reptile(seed: int) -> float:
    """A slow start, so that no device runs away, then a rate that falls."""
    base = None
    for rounds, rate, schedule in (
        (ROUNDS // 10, 0.00075, "constant"),
        (ROUNDS, 0.003, "linear"),
    ):
        strategy = get_strategy(
            "reptile", samples=16, epochs=16, rate=rate, first_outer_rate=0.5, schedule=schedule
        )
        run = simulate(TASK, strategy, rounds, 128, seed, base=base, engine=FleetEngine())
        base = run.artifact
    how = Adaptation(8, 32, 0.003, queries=100)
    return adapted(TASK, run.artifact.data, how, clients=WAVES, seeds=(seed,))[1].mean
