"""The training clients of a task without messages: all share the device's own learner."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.answers import Memory
from edge.artifact import Artifact
from edge.gaps import to_gaps
from edge.layout import sent
from edge.learner import NonFinite, OnlineLearner
from edge.messages import Plan
from edge.phases import Part, follow
from edge.stepping import Steps
from edge.worker import TrainResult
from server.fleet import CHUNK
from server.strategies import Contribution
from server.tasks.base import Episode, Streams, Task
from server.tasks.sine import SineTask

__all__ = ["Clients", "EpisodeStreams"]

Float32 = NDArray[np.float32]
_BEHIND = 0x57A1E  # keeps the staleness of clients apart from what they see


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

    def client(self, number: int) -> int:
        """Which client of the task one of them is."""
        return int(self.drawn[number][0]) % self.task.clients("train")

    def episode(self, number: int) -> Episode:
        """The episode of one of the clients."""
        index, state = self.drawn[number]
        client = self.task.client(int(index), "train")
        return client.episode(np.random.default_rng(int(state)), shots=self.shots, queries=1)

    def draw(self, chunk: int, clients: int) -> tuple[Float32, Float32]:
        """See `Streams`."""
        mine = [self.episode(chunk * CHUNK + i) for i in range(clients)]
        return np.stack([e.support_x for e in mine]), np.stack([e.support_y for e in mine])


class Clients:
    """A simulated fleet that trains one client after another.

    Args:
        task: whose training clients.
        model: the architecture, and the weights of what is never trained.
        seed: of who takes part and what each sees.
    """

    def __init__(self, task: Task, model: Artifact, seed: int) -> None:
        self.task, self.model, self.seed = task, model, seed
        self.losses: list[float] = []
        self.bytes = 0
        """Bytes of the deltas as sent so far, without the rest of each message."""
        self._memory: dict[int, Memory] = {}
        self._learners: dict[tuple[int, bool, Steps], tuple[bytes, OnlineLearner]] = {}

    def loss(self) -> float:
        """Mean over all passes of the last round; NaN without any."""
        return float(np.mean(self.losses)) if self.losses else float("nan")

    def episodes(self, plan: Plan, round: int, count: int) -> EpisodeStreams:
        """Who takes part in a round, and what each learns."""
        drawn = np.random.default_rng([self.seed, round]).integers(2**31, size=(count, 2))
        support, query = self.sizes(plan)
        passes = (plan.epochs if plan.proximal else 1) + bool(plan.local and plan.local.epochs)
        return EpisodeStreams(self.task, drawn, (support * passes + query) // self.task.ways)

    def sizes(self, plan: Plan) -> tuple[int, int]:
        """How many samples a pass over the support and one over the query take."""
        ways = self.task.ways
        query = max(plan.meta.query // ways, 1) * ways if plan.meta else 0
        return max(plan.samples // ways, 1) * ways, query

    def streams(self, plan: Plan, round: int, count: int) -> Streams:
        """The same for the fleet engine: drawn by the chunk where the task can."""
        if isinstance(self.task, SineTask):
            return self.task.streams(self.seed, round, plan.samples)
        return self.episodes(plan, round, count)

    def contributions(
        self, starts: Sequence[Float32], plan: Plan, round: int, count: int, limit: float
    ) -> Iterator[Contribution]:
        """Train `count` clients; one whose update admission would refuse gives nothing.

        Args:
            starts: float32 [n] each, all float32 parameters of the model, newest first. Where
                there are several, each client is as many rounds behind as chance says.
            plan: how.
            round: its number.
            count: how many clients.
            limit: longest delta (L2) that counts.
        """
        starts, spec = [start.copy() for start in starts], self.model.tail_spec
        behind = np.random.default_rng([self.seed, round, _BEHIND]).integers(
            len(starts), size=count
        )
        part = sent(spec, plan)
        remembers = plan.top_p < 1 or plan.bits < 32 or plan.local is not None
        self.losses.clear()
        episodes = self.episodes(plan, round, count)
        for number in range(count):
            work = _Work(self, episodes.episode(number), *self.sizes(plan))
            client = episodes.client(number)
            memory = self._memory.setdefault(client, Memory()) if remembers else Memory()
            try:
                found, memory.local = follow(
                    work.train, starts[behind[number]], spec, plan, memory.local
                )
            except NonFinite:
                continue
            payload = memory.compressor.compress(found.delta, plan.top_p, plan.bits)
            delta = payload.dense(part.stop - part.start)
            if not np.linalg.norm(delta.astype(np.float64)) <= limit:
                continue
            self.bytes += payload.values.nbytes
            if payload.codes is not None:
                self.bytes += payload.codes.nbytes
            if payload.indices is not None:
                self.bytes += len(to_gaps(payload.indices))
            yield Contribution(f"{number:09}", delta, found.samples, int(behind[number]))

    def learner(self, parameters: Float32, plan: Plan) -> OnlineLearner:
        """The shared learner of a plan, at these parameters and at rest.

        A new one where the frozen layers changed, or inputs are standardised.
        """
        spec = self.model.tail_spec
        trained = parameters[spec.n_parameters - spec.trained(plan.train_layers) :]
        frozen = parameters[: parameters.size - trained.size].tobytes()
        kind = (plan.train_layers, plan.standardise, plan.steps)
        held = self._learners.get(kind)
        if held is None or held[0] != frozen or plan.standardise:
            learner = OnlineLearner(
                self.model.with_parameters(parameters).data,
                train_layers=plan.train_layers,
                standardise=plan.standardise,
                **plan.steps.options,
            )
            self._learners[kind] = held = (frozen, learner)
        held[1].parameters = trained
        held[1].come_to_rest()
        return held[1]


class _Work:
    """One client's passes over its samples as they come."""

    def __init__(self, clients: Clients, episode: Episode, support: int, query: int) -> None:
        self.clients, self.episode = clients, episode
        self._sizes = {"support": support, "query": query}
        self._taken = 0

    def train(self, parameters: Float32, plan: Plan, part: Part) -> TrainResult:
        """See `edge.phases.Train`."""
        learner = self.clients.learner(parameters, plan)
        before, x, y = learner.parameters, *self._samples(part)
        rates = plan.steps.rates(plan.rate, plan.epochs * len(x)).reshape(plan.epochs, len(x))
        passes = [_pass(learner, x, y, row) for row in rates]
        if part == "support":
            self.clients.losses += [float(losses.mean()) for losses in passes]
        losses = np.concatenate(passes)
        return TrainResult(
            learner.parameters - before,
            len(losses),
            float(losses[0]),
            float(losses.mean()),
            float(losses[-1]),
        )

    def _samples(self, part: Part) -> tuple[Float32, Float32]:
        x, y, first = self.episode.support_x, self.episode.support_y, self._taken
        if part == "again":
            first, size = 0, self._sizes["support"]
        else:
            size = self._sizes[part]
            self._taken += size
        return x[first : first + size], y[first : first + size]


def _pass(learner: OnlineLearner, x: Float32, y: Float32, rates: Float32) -> Float32:
    """Learn the samples once; gives their losses."""
    if (rates == rates[0]).all():
        return learner.learn_many(x, y, rate=float(rates[0]))
    steps = zip(x, y, rates, strict=True)
    return np.array([learner.learn_one(*step, rate=float(rate)) for *step, rate in steps])
