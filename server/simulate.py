"""A thin simulated fleet: rounds without messages, clients outside and steps inside.

Every client's steps run in one call of the C learner; what a round gives is what the same
clients would give over a transport, bit for bit.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.artifact import Artifact
from edge.learner import NonFinite, OnlineLearner
from edge.messages import Plan
from edge.stepping import Steps
from server.strategies import Contribution, Strategy
from server.tasks.base import Task

__all__ = ["SimulatedRound", "Simulation", "new_model", "simulate"]


@dataclass(frozen=True)
class SimulatedRound:
    """One round: mean loss over all steps of its clients, and the model's parameters after it."""

    round: int
    rounds: int
    loss: float
    parameters: NDArray[np.float32]


@dataclass
class Simulation:
    """What a simulated run gave.

    Args:
        artifact: the final model.
        curve: (round, mean loss) of every round.
        updates: client updates computed.
        seconds: wall time.
    """

    artifact: Artifact
    curve: list[tuple[int, float]] = field(default_factory=list)
    updates: int = 0
    seconds: float = 0.0

    @property
    def parameters(self) -> NDArray[np.float32]:
        """Parameters of the final model, float32 [n]."""
        return self.artifact.parameters()


def new_model(task: Task, *, seed: int = 0) -> Artifact:
    """A fresh model of a task, with random weights."""
    from server.export import tflite

    spec = task.spec()
    return Artifact(tflite.write(spec, spec.initial(seed), name=task.name))


def simulate(
    task: Task,
    strategy: Strategy,
    rounds: int,
    clients_per_round: int | None = None,
    seed: int = 0,
    on_round: Callable[[SimulatedRound], None] | None = None,
    *,
    base: Artifact | None = None,
) -> Simulation:
    """Run the rounds of a simulated fleet; the same arguments give the same bits.

    Args:
        task: whose training clients take part, drawn anew for each round.
        strategy: plans and aggregates.
        rounds: how many.
        clients_per_round: how many clients; None: the strategy's cohort size.
        seed: of the fresh weights, the clients and their samples.
        on_round: called after each round.
        base: the model to start from; None: a fresh one.
    """
    began = time.perf_counter()
    model = base if base is not None else new_model(task, seed=seed)
    parameters = model.parameters()
    outcome = Simulation(model)
    fleet = _Fleet(task, model.data, seed)
    for number in range(1, rounds + 1):
        plan = strategy.plan(number, rounds)
        fleet.losses.clear()
        first = parameters.size - fleet.learner(plan).sizes.parameters
        count = clients_per_round or strategy.cohort_size
        parameters[first:] = strategy.aggregate(
            parameters[first:],
            fleet.contributions(parameters[first:], plan, number, count),
            strategy.outer_rate(number, rounds),
        )
        loss = float(np.mean(fleet.losses)) if fleet.losses else float("nan")
        outcome.curve.append((number, loss))
        outcome.updates += count
        if on_round is not None:
            on_round(SimulatedRound(number, rounds, loss, parameters.copy()))
    outcome.artifact = model.with_parameters(parameters)
    outcome.seconds = time.perf_counter() - began
    return outcome


class _Fleet:
    """The training clients of a task, sharing one learner."""

    def __init__(self, task: Task, model: bytes, seed: int) -> None:
        self.task, self.model, self.seed = task, model, seed
        self.losses: list[float] = []
        self._learner: OnlineLearner | None = None
        self._kind: tuple[int, bool, Steps] | None = None

    def learner(self, plan: Plan) -> OnlineLearner:
        """The shared learner; a new one where the plan changes, or inputs are standardised."""
        kind = (plan.train_layers, plan.standardise, plan.steps)
        if self._learner is None or self._kind != kind or plan.standardise:
            self._learner = OnlineLearner(
                self.model,
                train_layers=plan.train_layers,
                standardise=plan.standardise,
                **plan.steps.options,
            )
            self._kind = kind
        return self._learner

    def contributions(
        self, start: NDArray[np.float32], plan: Plan, round: int, count: int
    ) -> Iterator[Contribution]:
        """Train `count` clients from `start`; one whose weights run away gives nothing."""
        start = start.copy()
        drawn = np.random.default_rng([self.seed, round]).integers(2**31, size=(count, 2))
        shots = max(plan.samples // self.task.ways, 1)
        for number, (index, state) in enumerate(drawn):
            client = self.task.client(int(index), "train")
            episode = client.episode(np.random.default_rng(int(state)), shots=shots, queries=1)
            learner = self.learner(plan)
            learner.parameters = start
            try:
                self.losses += _losses(learner, plan, episode.support_x, episode.support_y)
            except NonFinite:
                continue
            samples = plan.epochs * len(episode.support_x)
            yield Contribution(f"{number:09}", learner.parameters - start, samples)


def _losses(
    learner: OnlineLearner, plan: Plan, x: NDArray[np.float32], y: NDArray[Any]
) -> list[float]:
    """Train one client; gives the mean loss of every pass."""
    learner.come_to_rest()
    if plan.schedule == "constant":
        passes = (learner.learn_many(x, y, rate=plan.rate) for _ in range(plan.epochs))
        return [float(losses.mean()) for losses in passes]
    rates = plan.steps.rates(plan.rate, plan.epochs * len(x)).reshape(plan.epochs, len(x))
    return [
        float(np.mean([learner.learn_one(*step, rate=float(rate)) for *step, rate in triples]))
        for triples in (zip(x, y, row, strict=True) for row in rates)
    ]
