"""A simulated fleet: rounds without messages, clients outside and steps inside.

What a round gives is what the same clients would give over a transport, bit for bit. Fleets of
dense nets run in the fleet kernel, a chunk of clients a call; all others client by client.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.artifact import Artifact
from edge.errors import UsageError
from edge.learner import NonFinite, OnlineLearner
from edge.messages import Plan
from edge.stepping import Steps
from server.admission import norm_limit
from server.fleet import CHUNK, FleetEngine, Job, takes
from server.strategies import Contribution, Strategy
from server.strategies.base import moved
from server.strategies.local_sgd import LocalSgd
from server.tasks.base import Episode, Streams, Task
from server.tasks.sine import SineTask

__all__ = ["SimulatedRound", "Simulation", "new_model", "simulate", "why_not"]


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
    engine: FleetEngine | None = None,
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
        engine: trains the clients; None: the device's own learner, one client after another.

    Raises:
        UsageError: the engine cannot follow the strategy, or does not know the model.
    """
    began = time.perf_counter()
    model = base if base is not None else new_model(task, seed=seed)
    parameters = model.parameters()
    outcome = Simulation(model)
    fleet = _Fleet(task, model.data, seed)
    if engine is not None and (reason := why_not(model, strategy)):
        raise UsageError(f"the fleet engine cannot do it: {reason}.", hint="--engine loop")
    for number in range(1, rounds + 1):
        plan = strategy.plan(number, rounds)
        count = clients_per_round or strategy.cohort_size
        rate = strategy.outer_rate(number, rounds)
        if engine is not None:
            streams = fleet.streams(plan, number, count)
            found = engine.round(_job(model, parameters, plan, task.ways), streams, count)
            parameters, loss = moved(parameters, found.mean, rate), found.loss
        else:
            first = parameters.size - fleet.learner(plan).sizes.parameters
            limit = norm_limit(parameters)
            updates = fleet.contributions(parameters[first:], plan, number, count, limit)
            parameters[first:] = strategy.aggregate(parameters[first:], updates, rate)
            loss = fleet.loss()
        outcome.curve.append((number, loss))
        outcome.updates += count
        if on_round is not None:
            on_round(SimulatedRound(number, rounds, loss, parameters.copy()))
    outcome.artifact = model.with_parameters(parameters)
    outcome.seconds = time.perf_counter() - began
    return outcome


def why_not(model: Artifact, strategy: Strategy) -> str:
    """Why the fleet engine cannot run a strategy on a model; empty where it can."""
    plan = strategy.plan(1, 1)
    if not takes(model.spec):
        return "it knows dense layers with ReLU only"
    averages = isinstance(strategy, LocalSgd) and strategy.robust == "mean"
    if not averages or type(strategy).aggregate is not LocalSgd.aggregate:
        return f"{strategy.name} does more than average"
    if plan.standardise or plan.reconstruct or plan.momentum or plan.decay or plan.clip:
        return "it takes plain SGD steps only"
    return ""


def _job(model: Artifact, start: NDArray[np.float32], plan: Plan, ways: int) -> Job:
    samples = max(plan.samples // ways, 1) * ways
    rates = plan.steps.rates(plan.rate, plan.epochs * samples)
    fma = plan.arithmetic == "fma"
    limit = norm_limit(start)
    return Job(model.spec, start, samples, rates, plan.train_layers, fma, limit)


@dataclass(frozen=True)
class EpisodeStreams:
    """The clients of a task without streams of its own: an episode each, drawn one by one.

    Args:
        task: whose training clients.
        drawn: int64 [clients, 2]: which client, and its random state.
        shots: support samples of an episode (of each class).
    """

    task: Task
    drawn: NDArray[np.int64]
    shots: int

    def episode(self, number: int) -> Episode:
        """The episode of one of the clients."""
        index, state = self.drawn[number]
        client = self.task.client(int(index), "train")
        return client.episode(np.random.default_rng(int(state)), shots=self.shots, queries=1)

    def draw(self, chunk: int, clients: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `Streams`."""
        mine = [self.episode(chunk * CHUNK + i) for i in range(clients)]
        return np.stack([e.support_x for e in mine]), np.stack([e.support_y for e in mine])


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

    def episodes(self, plan: Plan, round: int, count: int) -> EpisodeStreams:
        """Who takes part in a round, and what each learns."""
        drawn = np.random.default_rng([self.seed, round]).integers(2**31, size=(count, 2))
        return EpisodeStreams(self.task, drawn, max(plan.samples // self.task.ways, 1))

    def streams(self, plan: Plan, round: int, count: int) -> Streams:
        """The same for the fleet engine: drawn by the chunk where the task can."""
        if isinstance(self.task, SineTask):
            return self.task.streams(self.seed, round, plan.samples)
        return self.episodes(plan, round, count)

    def loss(self) -> float:
        """Mean over all passes of the last round; NaN without any."""
        return float(np.mean(self.losses)) if self.losses else float("nan")

    def contributions(
        self, start: NDArray[np.float32], plan: Plan, round: int, count: int, limit: float
    ) -> Iterator[Contribution]:
        """Train `count` clients from `start`; one that admission would refuse gives nothing."""
        start = start.copy()
        self.losses.clear()
        episodes = self.episodes(plan, round, count)
        for number in range(count):
            episode = episodes.episode(number)
            learner = self.learner(plan)
            learner.parameters = start
            try:
                self.losses += _losses(learner, plan, episode.support_x, episode.support_y)
            except NonFinite:
                continue
            delta = learner.parameters - start
            if np.linalg.norm(delta.astype(np.float64)) > limit:
                continue
            samples = plan.epochs * len(episode.support_x)
            yield Contribution(f"{number:09}", delta, samples)


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
