"""A simulated fleet: rounds without messages, clients outside and steps inside.

What a round gives is what the same clients would give over a transport, bit for bit. Fleets of
dense nets run in the fleet kernel, a chunk of clients a call; all others client by client.
"""

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from edge.artifact import Artifact
from edge.errors import UsageError
from edge.layout import sent
from edge.messages import Plan
from server.admission import norm_limit
from server.clients import Clients
from server.fleet import FleetEngine, Job, takes
from server.strategies import Strategy
from server.strategies.base import moved
from server.strategies.local_sgd import LocalSgd
from server.strategies.robust import require_enough
from server.tasks.base import Task

__all__ = ["SimulatedRound", "Simulation", "new_model", "simulate", "why_not"]

_RAN_AWAY = 10.0  # times the first round's loss


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
        bytes_up: bytes of the deltas as sent, without the rest of each message.
    """

    artifact: Artifact
    curve: list[tuple[int, float]] = field(default_factory=list)
    updates: int = 0
    seconds: float = 0.0
    bytes_up: int = 0

    @property
    def divergence(self) -> str:
        """How the loss ran away, for people; empty where it did not."""
        for number, loss in self.curve:
            if not math.isfinite(loss):
                return f"the loss of round {number} is {loss:g}: clients diverged, and count not"
        first, last = self.curve[0], self.curve[-1]
        if last[1] > _RAN_AWAY * first[1] > 0:
            return f"the loss grew from {first[1]:.3g} to {last[1]:.3g}"
        return ""

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
        clients_per_round: how many clients; None: as many as close a round.
        seed: of the fresh weights, the clients and their samples.
        on_round: called after each round.
        base: the model to start from; None: a fresh one.
        engine: trains the clients; None: the device's own learner, one client after another.

    Raises:
        UsageError: the engine cannot follow the strategy, or does not know the model; or its robust
            rule needs more clients.
    """
    require_enough(strategy.options().get("robust", "mean"), clients_per_round or strategy.buffer)
    began = time.perf_counter()
    model = base if base is not None else new_model(task, seed=seed)
    parameters = model.parameters()
    outcome = Simulation(model)
    fleet, strategy = Clients(task, model, seed), replace(strategy)  # type: ignore[type-var]
    if engine is not None and (reason := why_not(model, strategy)):
        raise UsageError(f"the fleet engine cannot do it: {reason}.", hint="--engine loop")
    newest = deque([parameters.copy()], maxlen=1 + strategy.max_staleness)
    for number in range(1, rounds + 1):
        plan = strategy.plan(number, rounds)
        count = clients_per_round or strategy.buffer
        rate = strategy.outer_rate(number, rounds)
        if engine is not None:
            streams = fleet.streams(plan, number, count)
            found = engine.round(_job(model, parameters, plan, task.ways), streams, count)
            parameters, loss = moved(parameters, found.mean, rate), found.loss
            outcome.bytes_up += 4 * count * model.tail_spec.trained(plan.train_layers)
        else:
            part = sent(model.tail_spec, plan)
            updates = fleet.contributions(newest, plan, number, count, norm_limit(parameters))
            parameters[part] = strategy.aggregate(parameters[part], updates, rate)
            newest.appendleft(parameters.copy())
            loss, outcome.bytes_up = fleet.loss(), fleet.bytes
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
    if plan.local or plan.meta or plan.proximal or plan.top_p < 1 or plan.bits < 32:
        return "it sends whole deltas of one pass over the samples"
    return ""


def _job(model: Artifact, start: NDArray[np.float32], plan: Plan, ways: int) -> Job:
    samples = max(plan.samples // ways, 1) * ways
    rates = plan.steps.rates(plan.rate, plan.epochs * samples)
    fma = plan.arithmetic == "fma"
    limit = norm_limit(start)
    return Job(model.spec, start, samples, rates, plan.train_layers, fma, limit)
