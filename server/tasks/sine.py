"""Sine regression: each client owns one sine wave of its own amplitude and phase.

Source: Finn, Abbeel, Levine, 2017 (arXiv:1703.03400), section 5.1.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.spec import ModelSpec
from server.tasks.base import Episode, Split

__all__ = ["SineClient", "SineStreams", "SineTask"]

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class SineClient:
    """One wave: `amplitude * sin(x + phase)` on [-5, 5]."""

    name: str
    amplitude: float
    phase: float

    def episode(self, rng: np.random.Generator, *, shots: int, queries: int) -> Episode:
        """Draw points of the wave: x float32 [n, 1] uniform on [-5, 5], y float32 [n, 1]."""
        support, query = (rng.uniform(-5, 5, (n, 1)).astype(np.float32) for n in (shots, queries))
        return Episode(support, self._wave(support), query, self._wave(query))

    def _wave(self, x: Float32) -> Float32:
        return np.asarray(self.amplitude * np.sin(x + self.phase), np.float32)


@dataclass(frozen=True)
class SineStreams:
    """Fresh waves for every client of a simulated round, a whole chunk at once."""

    seed: int
    round: int
    samples: int

    def draw(self, chunk: int, clients: int) -> tuple[Float32, Float32]:
        """See `Streams`."""
        rng = np.random.default_rng([self.seed, self.round, chunk])
        amplitude = rng.uniform(0.1, 5.0, (clients, 1, 1)).astype(np.float32)
        phase = rng.uniform(0.0, np.pi, (clients, 1, 1)).astype(np.float32)
        x = rng.random((clients, self.samples, 1), np.float32) * np.float32(10) - np.float32(5)
        return x, amplitude * np.sin(x + phase)


class SineTask:
    """Waves with amplitude in [0.1, 5] and phase in [0, pi].

    Args:
        seed: from which the clients' waves are drawn.
    """

    name = "sine"
    metric = "mse"
    higher_is_better = False
    description = "sine waves, amplitude 0.1 to 5, phase 0 to pi; the test waves are other ones"
    ways = 1

    def __init__(self, *, seed: int = 0) -> None:
        self._seed = seed

    def spec(self) -> ModelSpec:
        """1-40-40-1 with relu, mean squared error."""
        return ModelSpec.mlp([1, 40, 40, 1])

    def clients(self, split: Split) -> int:
        """A million waves to train on, ten thousand to test on."""
        return 1_000_000 if split == "train" else 10_000

    def client(self, index: int, split: Split) -> SineClient:
        """The wave of one client."""
        number = index % self.clients(split)
        rng = np.random.default_rng([self._seed, int(split == "test"), number])
        amplitude, phase = rng.uniform(0.1, 5.0), rng.uniform(0.0, np.pi)
        return SineClient(f"sine-{split}-{number}", float(amplitude), float(phase))

    def streams(self, seed: int, round: int, samples: int) -> SineStreams:
        """Waves without end, drawn by the chunk."""
        return SineStreams(seed, round, samples)

    def measure(self, outputs: Float32, targets: Float32) -> float:
        """Mean squared error."""
        return float(np.mean((outputs - targets) ** 2))
