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
_SEEN = (1, 2, 3, 4, 5)
"""Digits to train on. A mirrored 2 is nearly a 5, and a turned 6 a 9: neither pair is parted."""


@dataclass(frozen=True)
class StrokesClient:
    """One owner of gestures.

    Args:
        name: for people.
        groups: float32 [strokes, POINTS, 2] of each gesture.
        ways: gestures of an episode.
        vary: turn, mirror and draw backwards each chosen gesture, as another gesture.
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
        chosen = rng.choice(len(self.groups), self.ways, replace=False)
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
            flat = (_varied(picked, rng) if self.vary else picked).reshape(len(picked), -1)
            support += [(x, label) for x in flat[:shots]]
            query += [(x, label) for x in flat[shots:]]
        return Episode(*shuffled(support, rng), *shuffled(query, rng))


class GestureTask:
    """N-way gestures; those of the test clients are never seen in training.

    Args:
        ways: gestures of an episode.
        data: an .npz whose users become the test clients, all ten digits being trained on; see
            `strokes.read`.
    """

    name = "gesture"
    metric = "accuracy"
    higher_is_better = True
    preprocessing = "32 points at equal distances, centred, longest side from -1 to 1"

    def __init__(self, *, ways: int = 5, data: Path | None = None) -> None:
        known = strokes()
        seen = np.isin(known.gesture, _SEEN) if data is None else np.full(len(known.x), True)
        other, unseen = (known, ~seen) if data is None else (read(Path(data)), None)
        self.ways = ways
        self._owners: dict[Split, list[tuple[Float32, ...]]] = {
            "train": _owners(known, ways, seen),
            "test": _owners(other, ways, unseen),
        }
        self.description = (
            f"digits drawn with a wand (Warden, Apache-2.0): "
            f"{len(np.unique(known.gesture[seen]))} to train on, turned, mirrored and backwards; "
            f"{max(map(len, self._owners['test']))} unseen gestures"
        )

    def spec(self) -> ModelSpec:
        """64-64-32-5 with ReLU and softmax, cross-entropy."""
        return ModelSpec.mlp([2 * POINTS, 64, 32, self.ways], output="softmax")

    def clients(self, split: Split) -> int:
        """How many people draw; one has drawn all that is published."""
        return len(self._owners[split])

    def client(self, index: int, split: Split) -> StrokesClient:
        """One person, with the gestures of the split."""
        owners, train = self._owners[split], split == "train"
        number = index % len(owners)
        return StrokesClient(f"gesture-{split}-{number}", owners[number], self.ways, vary=train)

    def measure(self, outputs: Float32, targets: Float32) -> float:
        """Share of the queries whose largest output is the right gesture."""
        return float(np.mean(outputs.argmax(axis=1) == targets[:, 0]))


def _owners(
    found: Strokes, ways: int, chosen: NDArray[np.bool_] | None
) -> list[tuple[Float32, ...]]:
    """Strokes of each gesture of each user who has enough gestures.

    Raises:
        UsageError: nobody has.
    """
    mine = np.full(len(found.x), True) if chosen is None else chosen
    owners = []
    for user in np.unique(found.user[mine]):
        rows = mine & (found.user == user)
        kinds = np.unique(found.gesture[rows])
        owners.append(tuple(found.x[rows & (found.gesture == kind)] for kind in kinds))
    most = max(map(len, owners), default=0)
    if not 2 <= ways <= most:
        raise UsageError(
            f"ways is {ways}, 2 to {most} are possible.", hint=f"nobody has more than {most}"
        )
    return [groups for groups in owners if len(groups) >= ways]


def _varied(strokes: Float32, rng: np.random.Generator) -> Float32:
    """All strokes [n, POINTS, 2] turned by the same angle; mirrored, backwards half of the time."""
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    changed = strokes @ (turn * [1, rng.choice([-1, 1])])
    ordered = changed[:, ::-1] if rng.random() < 0.5 else changed
    return np.asarray(ordered, np.float32)
