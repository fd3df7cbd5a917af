"""Few-shot gestures: each client draws some of its own, which nobody else knows."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError
from edge.spec import ModelSpec
from server.tasks.base import Episode, Split, shuffled
from server.tasks.strokes import POINTS, Strokes, read, strokes

__all__ = ["GestureTask", "StrokesClient"]

Float32 = NDArray[np.float32]
_SEEN = 5
"""Digits below are trained on, the others are unseen."""


@dataclass(frozen=True)
class StrokesClient:
    """One owner of gestures.

    Args:
        name: for people.
        groups: float32 [strokes, POINTS, 2] of each gesture.
        ways: gestures of an episode.
        vary: turn and mirror each chosen gesture, as another gesture.
    """

    name: str
    groups: tuple[Float32, ...]
    ways: int
    vary: bool

    def episode(self, rng: np.random.Generator, *, shots: int, queries: int) -> Episode:
        """Draw gestures, then different strokes of each for support and query; shuffled.

        Raises:
            UsageError: a gesture has fewer strokes than shots and queries need.
        """
        chosen = rng.choice(len(self.groups), self.ways, replace=self.vary)
        support, query = [], []
        for label, group in enumerate(chosen):
            drawn = self.groups[group]
            if shots + queries > len(drawn):
                raise UsageError(
                    f"{shots} shots and {queries} queries need {shots + queries} strokes of a "
                    f"gesture, {self.name} has {len(drawn)}.",
                    hint="fewer shots or queries",
                )
            picked = drawn[rng.permutation(len(drawn))[: shots + queries]]
            flat = (picked @ _turn(rng) if self.vary else picked).reshape(len(picked), -1)
            support += [(x, label) for x in flat[:shots]]
            query += [(x, label) for x in flat[shots:]]
        return Episode(*shuffled(support, rng), *shuffled(query, rng))


class GestureTask:
    """N-way gestures; those of the test client are never seen in training.

    Args:
        ways: gestures of an episode.
        data: an .npz whose gestures become the test client, all ten digits being trained on; see
            `strokes.read`.
    """

    name = "gesture"
    metric = "accuracy"
    higher_is_better = True

    def __init__(self, *, ways: int = 5, data: Path | None = None) -> None:
        known = _groups(strokes())
        train, test = known, known[_SEEN:]
        if data is None:
            train = known[:_SEEN]
        else:
            test = _groups(read(Path(data)))
        if not 2 <= ways <= len(test):
            raise UsageError(f"ways is {ways}, 2 to {len(test)} gestures are unseen.")
        self.ways = ways
        self._groups: dict[Split, tuple[Float32, ...]] = {"train": train, "test": test}
        self.description = (
            f"digits drawn with a wand (Warden, Apache-2.0): {len(train)} to train on, turned and "
            f"mirrored; {len(test)} unseen gestures"
        )

    def spec(self) -> ModelSpec:
        """64-64-32-5 with ReLU and softmax, cross-entropy."""
        return ModelSpec.mlp([2 * POINTS, 64, 32, self.ways], output="softmax")

    def clients(self, split: Split) -> int:
        """One: all strokes are one person's."""
        return 1

    def client(self, index: int, split: Split) -> StrokesClient:
        """The person, with the gestures of the split."""
        train = split == "train"
        return StrokesClient(f"gesture-{split}-0", self._groups[split], self.ways, vary=train)

    def measure(self, outputs: Float32, targets: Float32) -> float:
        """Share of the queries whose largest output is the right gesture."""
        return float(np.mean(outputs.argmax(axis=1) == targets[:, 0]))


def _groups(found: Strokes) -> tuple[Float32, ...]:
    return tuple(found.x[found.gesture == kind] for kind in np.unique(found.gesture))


def _turn(rng: np.random.Generator) -> Float32:
    """[2, 2] that turns by any angle, and mirrors half of the time."""
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.asarray(turn * [1, rng.choice([-1, 1])], np.float32)
