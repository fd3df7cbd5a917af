"""Does a machine vibrate as it used to? Each device learns the normal windows of its own."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError
from edge.spec import ModelSpec
from server.tasks.base import Episode, Split
from server.tasks.vibration import Machine, machines, read

__all__ = ["AnomalyTask", "MachineClient", "roc_auc"]

Float32 = NDArray[np.float32]
_SMALLEST = 0.05  # deviation that counts as one, at least


@dataclass(frozen=True)
class MachineClient:
    """One machine.

    Args:
        machine: its windows.
    """

    machine: Machine

    @property
    def name(self) -> str:
        """What people call it."""
        return self.machine.name

    def episode(self, rng: np.random.Generator, *, shots: int, queries: int) -> Episode:
        """Normal windows to learn, of the first half of each recording; `queries` of the rest.

        All are standardised by the mean and deviation of the windows to learn, and of no other. A
        support target is its own input. A query target has the label at its end, 1 where the
        window is an anomaly; a machine without anomalies is asked about normal windows alone.

        Raises:
            UsageError: there are too few windows.
        """
        normal = ~self.machine.anomaly
        first = np.zeros(len(normal), bool)
        for session in np.unique(self.machine.session):
            mine = np.flatnonzero(self.machine.session == session)
            first[mine[: len(mine) // 2]] = True
        known = np.flatnonzero(normal & first)
        if shots > len(known):
            raise UsageError(
                f"{shots} shots are more than the {len(known)} normal windows of {self.name}.",
                hint="fewer shots",
            )
        support = rng.permutation(known)[:shots]
        kinds = (normal & ~first, self.machine.anomaly & ~first)
        query = [rng.permutation(np.flatnonzero(kind))[:queries] for kind in kinds]
        rows = rng.permutation(np.concatenate(query))
        usual = self.machine.x[support]
        x = (self.machine.x - usual.mean(axis=0)) / (usual.std(axis=0) + _SMALLEST)
        labels = self.machine.anomaly[rows].astype(np.float32)
        wanted = np.concatenate([x[rows], labels[:, None]], axis=1)
        return Episode(x[support], x[support], x[rows], wanted)


class AnomalyTask:
    """An autoencoder of a machine's normal vibration; what it cannot copy is not normal.

    Args:
        unseen: the machine to test on, of those that have anomalies: `fan_0_med` or `fan_0_low`,
            the fan at that speed. Low is hard: windows while the base was moved are normal too.
        data: an .npz whose machines become the test clients, all others being trained on; see
            `vibration.read`.
    """

    name = "anomaly"
    metric = "AUC"
    higher_is_better = True
    ways = 1
    preprocessing = "logarithmic energies in frequency bands, standardised by support windows"

    def __init__(self, *, unseen: str = "fan_0_med", data: Path | None = None) -> None:
        known = machines()
        broken = [machine.name for machine in known if machine.anomaly.any()]
        if unseen not in broken:
            raise UsageError(f"unseen is {unseen}.", hint=f"one of {', '.join(broken)}")
        test = known if data is None else read(Path(data))
        test = [m for m in test if m.anomaly.any() and (data is not None or m.name == unseen)]
        test = [m for m in test if not m.anomaly.all()]
        if not test:
            raise UsageError(
                f"{data}: no machine has both normal windows and anomalies.",
                hint="each machine's normal windows are learnt, its anomalies are to be found",
            )
        train = [m for m in known if data is not None or m.name != unseen]
        self._machines: dict[Split, list[Machine]] = {"train": train, "test": test}
        self._width = train[0].x.shape[1]
        if any(machine.x.shape[1] != self._width for machine in test):
            raise UsageError(f"{data}: {self._width} energies of a window are needed.")
        self.description = (
            f"ceiling fan (Hymel): {', '.join(machine.name for machine in train)} to train on, "
            f"{', '.join(machine.name for machine in test)} unseen"
        )

    def spec(self) -> ModelSpec:
        """60-24-8-24-60 with tanh, mean squared error."""
        sizes = [self._width, 24, 8, 24, self._width]
        return ModelSpec.mlp(sizes, hidden="tanh", output="linear")

    def clients(self, split: Split) -> int:
        """How many machines a split has."""
        return len(self._machines[split])

    def client(self, index: int, split: Split) -> MachineClient:
        """One machine."""
        mine = self._machines[split]
        return MachineClient(mine[index % len(mine)])

    def measure(self, outputs: Float32, targets: Float32) -> float:
        """Area under the ROC curve of the reconstruction error, over anomalies and normal ones."""
        errors = ((outputs - targets[:, :-1]) ** 2).mean(axis=1)
        return roc_auc(errors, targets[:, -1] > 0)


def roc_auc(scores: NDArray[np.float32], positive: NDArray[np.bool_]) -> float:
    """Chance that a positive one scores higher than another; 0.5 without both kinds.

    Mann and Whitney, 1947; ties count half.

    >>> roc_auc(np.float32([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    0.75
    """
    above, below = scores[positive], scores[~positive]
    if not len(above) or not len(below):
        return 0.5
    ordered = np.sort(below)
    lower = np.searchsorted(ordered, above, "left").sum()
    either = np.searchsorted(ordered, above, "right").sum()
    return float((lower + either) / 2 / (len(above) * len(below)))
