"""Is somebody there? Each client is a room with its own sensors, levels and habits."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError
from edge.spec import ModelSpec
from server.tasks.base import Episode, Split
from server.tasks.rooms import Room, read, rooms

__all__ = ["PresenceTask", "RoomClient", "balanced_accuracy"]

Float32 = NDArray[np.float32]
_LEVEL, _SCALE = 0.25, 0.25
"""How much a training room's sensors are varied, in standard deviations."""


@dataclass(frozen=True)
class RoomClient:
    """One room.

    Args:
        room: its rows.
        vary: shift and scale each column a little, as another room's sensors would be.
        apart: query rows of other days than the support rows, instead of any other rows.
    """

    room: Room
    vary: bool
    apart: bool

    @property
    def name(self) -> str:
        """What people call it."""
        return self.room.name

    def episode(self, rng: np.random.Generator, *, shots: int, queries: int) -> Episode:
        """Rows at random times, `shots` of each class to learn from, `queries` to measure on.

        Raises:
            UsageError: the room has too few rows of a class.
        """
        first = self._days(rng)
        support, query = [], []
        for label in (0, 1):
            rows = rng.permutation(np.flatnonzero(self.room.y == label))
            known, other = (rows[first[rows]], rows[~first[rows]]) if self.apart else (rows, rows)
            if len(known) < shots or len(other) <= (0 if self.apart else shots):
                raise UsageError(
                    f"{shots} shots are more than {self.name} has of class {label}.",
                    hint="fewer shots",
                )
            support.append(known[:shots])
            query.append(other[:queries] if self.apart else other[shots : shots + queries])
        x = self.room.x
        if self.vary:
            scale = np.exp(rng.normal(0, _SCALE, x.shape[1]))
            x = np.asarray(x * scale + rng.normal(0, _LEVEL, x.shape[1]), np.float32)
        s, q = (rng.permutation(np.concatenate(rows)) for rows in (support, query))
        y = self.room.y.astype(np.float32)[:, None]
        return Episode(x[s], y[s], x[q], y[q])

    def _days(self, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Bool [n]: half of the days when somebody came, and half of the others."""
        busy = np.unique(self.room.day[self.room.y == 1])
        quiet = np.setdiff1d(self.room.day, busy)
        halves = [rng.permutation(days)[: len(days) // 2] for days in (busy, quiet)]
        return np.isin(self.room.day, np.concatenate(halves))


class PresenceTask:
    """Occupied or empty, from temperature, light, CO2 and the hour.

    Args:
        unseen: which room is kept to test on, from 0.
        data: an .npz whose rooms become the test clients, all others being trained on; see
            `rooms.read`.
        apart: measure on other days than those of the labels.
    """

    name = "presence"
    metric = "balanced accuracy"
    higher_is_better = True
    ways = 2
    preprocessing = "17 columns of docs/TASKS.md, standardised over the room"
    words = ("empty", "occupied")

    def __init__(self, *, unseen: int = 0, data: Path | None = None, apart: bool = False) -> None:
        known = rooms()
        if not 0 <= unseen < len(known):
            raise UsageError(f"unseen is {unseen}, rooms 0 to {len(known) - 1} are there.")
        test = [known.pop(unseen)] if data is None else read(Path(data))
        self._apart = apart
        self._rooms: dict[Split, list[Room]] = {"train": known, "test": test}
        self.description = (
            f"UCI 357, UCI 864 and ROBOD, CC BY 4.0: {len(known)} rooms to train on, "
            f"{', '.join(room.name for room in test)} unseen"
        )

    def spec(self) -> ModelSpec:
        """17-32-16-2 with ReLU and softmax, cross-entropy."""
        return ModelSpec.mlp([17, 32, 16, 2], output="softmax")

    def clients(self, split: Split) -> int:
        """How many rooms a split has."""
        return len(self._rooms[split])

    def client(self, index: int, split: Split) -> RoomClient:
        """One room."""
        mine = self._rooms[split]
        test = split == "test"
        return RoomClient(mine[index % len(mine)], vary=not test, apart=self._apart and test)

    def measure(self, outputs: Float32, targets: Float32) -> float:
        """Balanced accuracy: the mean of the shares of each class that were answered right."""
        return balanced_accuracy(outputs, targets)


def balanced_accuracy(outputs: Float32, targets: Float32) -> float:
    """Mean over the classes that occur of the share answered right.

    >>> balanced_accuracy(np.float32([[1, 0], [1, 0], [1, 0]]), np.float32([[0], [0], [1]]))
    0.5
    """
    found, wanted = outputs.argmax(axis=1), targets[:, 0].astype(np.int64)
    return float(np.mean([np.mean(found[wanted == label] == label) for label in np.unique(wanted)]))
