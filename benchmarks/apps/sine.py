"""Eight points of an unseen wave, after reptile over simulated waves."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from server.evaluate import Adaptation, adapted
from server.figures import Figure, figure
from server.fleet import FleetEngine
from server.simulate import simulate
from server.strategies import get_strategy
from server.tasks.sine import SineTask

SEEDS = (0, 1, 2)
ROUNDS = 10_000


def figures(data: Path | None) -> Iterator[Figure]:
    """Mean squared error after adapting: a slow start, so that none runs away, then the fall."""
    del data  # waves are drawn
    task, engine, outcomes = SineTask(), FleetEngine(), []
    for seed in SEEDS:
        base = None
        for rounds, rate, schedule in (
            (ROUNDS // 20, 0.00075, "constant"),
            (ROUNDS, 0.003, "linear"),
        ):
            strategy = get_strategy(
                "reptile", samples=16, epochs=16, rate=rate, first_outer_rate=0.5, schedule=schedule
            )
            base = simulate(task, strategy, rounds, 128, seed, base=base, engine=engine).artifact
        how = Adaptation(8, 32, 0.003, queries=100)
        outcomes.append(adapted(task, base.data, how, clients=100, seeds=(seed,)))
    before, after = (np.mean([found[i].mean for found in outcomes]) for i in (0, 1))
    note = f"not adapted {before:.2f}; 32 passes over 8 points, {ROUNDS:,} rounds of 128"
    yield figure("sine.mse8", float(after), "mse", "<= 0.08", note)
