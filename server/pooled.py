"""Pooled training: one model trained on the data of all training clients, as a centre would."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge.artifact import Artifact
from edge.learner import NonFinite, OnlineLearner
from server.evaluate import RATES, Adaptation, Estimate, adapted
from server.simulate import new_model
from server.tasks.base import Task

__all__ = ["STEPS", "Pooled", "pooled", "pooled_model"]

Float32 = NDArray[np.float32]
STEPS = 20_000
"""Samples learnt in one pooled training, unless said otherwise."""
_DRAWN = 0x9001  # keeps the random states of the pool apart from those of rounds and evaluation


@dataclass(frozen=True)
class Pooled:
    """What pooled training gives on unseen clients.

    Args:
        before: with the pooled model as it is.
        after: with the pooled model adapted to the client's support set.
        steps: training steps that it was made with, of the rate that did best.
        samples: different samples in the pool.
    """

    before: Estimate
    after: Estimate
    steps: int
    samples: int


def pooled(
    task: Task,
    how: Adaptation,
    *,
    clients: int = 20,
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = STEPS,
    owners: int = 500,
) -> Pooled:
    """Train on the pool at each rate of `RATES`; the one that adapts best counts.

    That choice sees the unseen clients, in favour of pooled training.

    Args:
        task: whose training clients are pooled, and whose test clients are measured.
        how: the adaptation; its rate times `RATES` are the training rates.
        clients: how many test clients.
        seeds: one episode a test client for each.
        steps: budget of one training, in samples learnt.
        owners: episodes in the pool, of one training client each.
    """
    x, y = _pool(task, how, owners)
    found = []
    for multiple in RATES:
        model = pooled_model(task, x, y, rate=how.rate * multiple, steps=steps)
        both = adapted(task, model.data, replace(how, train_layers=0), clients=clients, seeds=seeds)
        found.append(Pooled(*both, steps, len(x)))
    best = max if task.higher_is_better else min
    return best(found, key=lambda outcome: outcome.after.mean)


def pooled_model(
    task: Task, x: Float32, y: Float32, *, rate: float, steps: int, seed: int = 0
) -> Artifact:
    """Train the task's own net from fresh weights, sample by sample, in a new order every pass.

    Args:
        task: gives the net.
        x: float32 [n, n_in].
        y: float32 [n, k] targets, see `Episode`.
        rate: SGD rate.
        steps: samples learnt.
        seed: of the fresh weights and the orders.

    Returns:
        The model; the fresh one where the weights run away.
    """
    model = new_model(task, seed=seed)
    learner, rng = OnlineLearner(model.data), np.random.default_rng([_DRAWN, seed])
    try:
        for left in range(steps, 0, -len(x)):
            order = rng.permutation(len(x))[:left]
            learner.learn_many(x[order], y[order], rate=rate)
    except NonFinite:
        return model
    return model.with_parameters(learner.parameters)


def _pool(task: Task, how: Adaptation, owners: int) -> tuple[Float32, Float32]:
    episodes = [
        task.client(index, "train").episode(
            np.random.default_rng([_DRAWN, index]), shots=how.shots, queries=1
        )
        for index in range(owners)
    ]
    x = np.concatenate([episode.support_x for episode in episodes])
    return x, np.concatenate([episode.support_y for episode in episodes])
