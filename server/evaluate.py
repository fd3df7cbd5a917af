"""How unseen clients do with a model: before adapting it, after, and without it."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge.fronted import learner_of
from edge.learner import LearnerError, NonFinite, OnlineLearner
from edge.messages import Plan
from server.tasks.base import Episode, Task

__all__ = [
    "Adaptation",
    "Estimate",
    "Evaluation",
    "adapt",
    "adapted",
    "each_client",
    "estimate",
    "evaluate",
    "from_scratch",
    "worst_decile",
]

Float32 = NDArray[np.float32]
RATES = (2.0, 1.0, 0.5, 0.25)
"""Rates that local-only training may choose from, in multiples of the adaptation's."""
_RESAMPLES = 2000
_EPISODES = 0x7E57  # keeps the random states of evaluation apart from those of training


@dataclass(frozen=True)
class Adaptation:
    """How an unseen device adapts.

    Args:
        shots: support samples (of each class, where there are classes).
        epochs: passes over them.
        rate: SGD rate.
        queries: samples to measure on (of each class).
        train_layers: adapt the last so many layers; 0: all.
        standardise: standardise inputs on the device.
    """

    shots: int
    epochs: int
    rate: float
    queries: int = 10
    train_layers: int = 0
    standardise: bool = False

    @classmethod
    def of(
        cls, plan: Plan, ways: int, *, epochs: int | None = None, queries: int = 10
    ) -> "Adaptation":
        """Adapt as devices trained: the plan's samples, rate and (if not said) epochs."""
        shots = max(plan.samples // ways, 1)
        return cls(
            shots, epochs or plan.epochs, plan.rate, queries, plan.train_layers, plan.standardise
        )


@dataclass(frozen=True)
class Estimate:
    """A mean over clients and its 95 % interval (bootstrap over clients)."""

    mean: float
    low: float
    high: float
    clients: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Evaluation:
    """The metric on queries of unseen clients.

    Args:
        metric: its name, `accuracy` or `mse`.
        before: with the model as it is.
        after: with the model adapted to the client's support set.
        scratch: fresh weights, as many steps, the best of `RATES`: what a client reaches alone.
        scratch_more: the same with `more` times the epochs.
        more: how many times.
    """

    metric: str
    before: Estimate
    after: Estimate
    scratch: Estimate
    scratch_more: Estimate
    more: int


def estimate(values: NDArray[np.float64]) -> Estimate:
    """Mean and 95 % interval.

    Args:
        values: [clients, seeds]; a client's seeds are averaged first.

    >>> str(estimate(np.array([[1.0], [2.0], [3.0]])))
    '2.000 [1.000, 3.000]'
    """
    each = np.asarray(values, np.float64).mean(axis=1)
    drawn = np.random.default_rng(0).integers(len(each), size=(_RESAMPLES, len(each)))
    low, high = np.percentile(each[drawn].mean(axis=1), [2.5, 97.5])
    return Estimate(float(each.mean()), float(low), float(high), len(each))


def adapt(
    task: Task, model: bytes, episode: Episode, how: Adaptation, start: Float32 | None = None
) -> tuple[float, float]:
    """Adapt to one episode on a fresh learner.

    Args:
        task: gives the metric.
        model: bytes of a `.tflite`, or of a hybrid whose front a runtime runs.
        episode: its support set is learnt from, its query set is measured on.
        how: shots are not looked at here.
        start: float32 [n_parameters] to start from instead of the model's.

    Returns:
        The metric before and after; twice the first where the weights run away, since a device
        then keeps what it had.
    """
    learner = learner_of(model, train_layers=how.train_layers, standardise=how.standardise)
    if task.ways > 1:
        _use_classes(learner, episode)
    if start is not None:
        learner.parameters = start[start.size - learner.sizes.parameters :]
    before = task.measure(learner.predict_many(episode.query_x), episode.query_y)
    try:
        for _ in range(how.epochs):
            learner.learn_many(episode.support_x, episode.support_y, rate=how.rate)
    except NonFinite:
        return before, before
    return before, task.measure(learner.predict_many(episode.query_x), episode.query_y)


def _use_classes(learner: OnlineLearner, episode: Episode) -> None:
    """Put the episode's classes into use, as a device does when it first sees them."""
    for label in np.unique(episode.support_y):
        with suppress(LearnerError):  # a model without spare classes has them in use
            learner.add_class(int(label))


def _episodes(
    task: Task, how: Adaptation, clients: int, seeds: Sequence[int]
) -> list[list[Episode]]:
    return [
        [
            task.client(index, "test").episode(
                np.random.default_rng([_EPISODES, seed, index]),
                shots=how.shots,
                queries=how.queries,
            )
            for seed in seeds
        ]
        for index in range(clients)
    ]


def adapted(
    task: Task,
    model: bytes,
    how: Adaptation,
    *,
    clients: int = 20,
    seeds: Sequence[int] = (0, 1, 2),
) -> tuple[Estimate, Estimate]:
    """The metric of unseen clients before and after adapting a model; for learning curves."""
    pairs = each_client(task, model, how, clients=clients, seeds=seeds)
    return estimate(pairs[:, :, 0]), estimate(pairs[:, :, 1])


def each_client(
    task: Task,
    model: bytes,
    how: Adaptation,
    *,
    clients: int = 20,
    seeds: Sequence[int] = (0, 1, 2),
) -> NDArray[np.float64]:
    """The metric before and after adapting: float64 [clients, seeds, 2]."""
    clients = min(clients, task.clients("test"))
    return np.array([
        [adapt(task, model, episode, how) for episode in episodes]
        for episodes in _episodes(task, how, clients, seeds)
    ])  # fmt: skip


def worst_decile(values: NDArray[np.float64], *, higher_is_better: bool) -> float:
    """Mean of the worst tenth of the clients, at least one.

    Args:
        values: [clients, seeds]; a client's seeds are averaged first.
        higher_is_better: whether the smallest are the worst.

    >>> worst_decile(np.arange(20.0)[:, None], higher_is_better=True)
    0.5
    """
    each = np.sort(np.asarray(values, np.float64).mean(axis=1))
    worst = each if higher_is_better else each[::-1]
    return float(worst[: max(len(each) // 10, 1)].mean())


def from_scratch(
    task: Task,
    model: bytes,
    how: Adaptation,
    *,
    clients: int = 20,
    seeds: Sequence[int] = (0, 1, 2),
    rates: Sequence[float] = RATES,
) -> Estimate:
    """What unseen clients reach alone, each from fresh weights; all layers are trained.

    Args:
        task: whose test clients.
        model: a `.tflite` of the task's architecture; its weights are not used.
        how: the adaptation.
        clients: how many test clients, at most those that there are.
        seeds: one episode a client for each.
        rates: multiples of `how.rate`; the best one counts, in favour of training alone.
    """
    spec = task.spec()
    episodes = _episodes(task, how, min(clients, task.clients("test")), seeds)
    outcomes = []
    for multiple in rates:
        alone = replace(how, train_layers=0, rate=how.rate * multiple)
        values = [
            [
                adapt(task, model, episode, alone, spec.initial(1000 * index + seed))[1]
                for seed, episode in zip(seeds, mine, strict=True)
            ]
            for index, mine in enumerate(episodes)
        ]
        outcomes.append(estimate(np.array(values)))
    best = max if task.higher_is_better else min
    return best(outcomes, key=lambda outcome: outcome.mean)


def evaluate(
    task: Task,
    model: bytes,
    how: Adaptation,
    *,
    clients: int = 20,
    seeds: Sequence[int] = (0, 1, 2),
    more: int = 10,
) -> Evaluation:
    """Measure a model on clients that took no part in training.

    The same episodes (client, seed) are used for every row, so rows can be compared.

    Args:
        task: whose test clients.
        model: bytes of the `.tflite`, float32.
        how: the adaptation.
        clients: how many test clients, at most those that there are.
        seeds: one episode a client for each.
        more: epochs of the longer local-only training, in multiples of `how.epochs`.
    """
    before, after = adapted(task, model, how, clients=clients, seeds=seeds)
    longer = replace(how, epochs=how.epochs * more)
    return Evaluation(
        task.metric,
        before,
        after,
        from_scratch(task, model, how, clients=clients, seeds=seeds),
        from_scratch(task, model, longer, clients=clients, seeds=seeds),
        more,
    )
