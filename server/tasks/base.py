"""What a task is: clients with data of their own, and few-shot episodes drawn from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from edge.marks import Marks
from edge.spec import ModelSpec

__all__ = ["Client", "Episode", "EpisodeSensor", "Split", "Streams", "Task", "shuffled"]

Split = Literal["train", "test"]
Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Episode:
    """One small learning problem of one client.

    Args:
        support_x: float32 [n, n_in], what is learnt from.
        support_y: float32 [n, k] targets: k = 1 class index, or n_out values.
        query_x: float32 [m, n_in], what is measured on; never learnt from.
        query_y: float32 [m, k].
    """

    support_x: Float32
    support_y: Float32
    query_x: Float32
    query_y: Float32


class Client(Protocol):
    """One owner of data."""

    @property
    def name(self) -> str:
        """What people call it."""

    def episode(self, rng: np.random.Generator, *, shots: int, queries: int) -> Episode:
        """Draw an episode.

        Args:
            rng: where all randomness comes from; the same state gives the same episode.
            shots: support samples (of each class, where there are classes).
            queries: query samples (of each class, where there are classes).
        """


class Task(Protocol):
    """A family of clients, split into those to train on and those kept unseen."""

    name: str
    metric: str
    """`accuracy` (share of queries answered right) or `mse`."""
    higher_is_better: bool
    description: str
    """One line: which data, how split."""
    ways: int
    """Classes of an episode; 1 in a regression."""

    def spec(self) -> ModelSpec:
        """The device-sized model of this task."""

    def clients(self, split: Split) -> int:
        """How many clients a split has."""

    def client(self, index: int, split: Split) -> Client:
        """One client; an index beyond the last starts again from the first."""

    def measure(self, outputs: Float32, targets: Float32) -> float:
        """The metric: outputs float32 [n, n_out], targets float32 [n, k]."""


class Streams(Protocol):
    """What the clients of a simulated round learn; sent to other processes, so it can be pickled.

    A task that can draw many clients at once has `streams(seed, round, samples)` that gives one.
    """

    def draw(self, chunk: int, clients: int) -> tuple[Float32, Float32]:
        """Samples of one chunk's clients; the same whoever draws them.

        Args:
            chunk: its number in the round.
            clients: how many it has.

        Returns:
            x float32 [clients, samples, n_in], y float32 [clients, samples, n_target].
        """


class EpisodeSensor:
    """A device's sensor over a client: one episode's support set after another.

    Args:
        client: whose data it gives.
        shots: support samples of an episode (of each class).
        seed: with the episode's number, gives its random state; the same seed, the same stream.
    """

    def __init__(self, client: Client, *, shots: int, seed: int) -> None:
        self._client, self._shots, self._seed = client, shots, seed
        self._marks = Marks()
        self._number, self._episode = 0, self._draw(0)
        self._size = len(self._episode.support_x)

    def next_sample(self) -> tuple[Float32, Float32]:
        """Give the next support sample; after the last, a new episode begins."""
        number, index = divmod(self._marks.take(), self._size)
        if number != self._number:
            self._number, self._episode = number, self._draw(number)
        return self._episode.support_x[index], self._episode.support_y[index]

    def begin_pass(self) -> None:
        """Begin a pass behind all that was given; see `edge.ports.PassSensor`."""
        self._marks.begin_pass()

    def rewind(self) -> None:
        """Go back to the first sample of the pass, also where an episode began since."""
        self._marks.rewind()

    def begin(self, number: int) -> None:
        """Go to the start of an episode by its number."""
        self._marks = Marks(number * self._size)

    def _draw(self, number: int) -> Episode:
        rng = np.random.default_rng([self._seed, number])
        return self._client.episode(rng, shots=self._shots, queries=1)


def shuffled(
    pairs: Sequence[tuple[Float32, int]], rng: np.random.Generator
) -> tuple[Float32, Float32]:
    """Samples and their classes in random order: float32 [n, n_in] and [n, 1]."""
    order = rng.permutation(len(pairs))
    x = np.stack([pairs[i][0] for i in order]).astype(np.float32)
    return x, np.array([[pairs[i][1]] for i in order], np.float32)
