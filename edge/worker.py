"""What a session asks of a device, whether a host learns or a board behind a serial line."""

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge.errors import TinyfleetError
from edge.messages import Plan
from edge.stepping import Watching
from edge.topics import DeviceTopics

__all__ = ["Interrupted", "Outcome", "TrainResult", "Trainer", "Trend", "WatchResult", "Worker"]

Outcome = dict[str, float | int | str | bytes]
_FEW, _SOME, _SHARE = 4, 10, 10


class Interrupted(TinyfleetError):
    """The device was told to stop before it was done."""


@dataclass(frozen=True)
class Trend:
    """How losses went: single ones say little, for samples differ more than steps do.

    Args:
        samples: how many are averaged at either end.
        early: mean loss of the first ones, each before its step.
        late: mean loss of the last ones.
    """

    samples: int
    early: float
    late: float

    @classmethod
    def of(cls, losses: NDArray[np.float32]) -> "Trend | None":
        """A tenth at either end, or ten where that is more; None where even halves are too few.

        Args:
            losses: float32 [n], in the order of the samples.
        """
        n = max(len(losses) // _SHARE, min(len(losses) // 2, _SOME))
        if n < _FEW:
            return None
        return cls(n, float(np.mean(losses[:n])), float(np.mean(losses[-n:])))


@dataclass(frozen=True)
class TrainResult:
    """What training gave.

    Args:
        delta: float32 [n], trained minus base, of the trained layers.
        samples: how many samples were learnt, all epochs together.
        loss_first: loss of the first sample, before its step.
        loss_mean: mean loss, each before its step.
        loss_last: loss of the last sample, before its step.
        meters: what was measured, by name with unit.
        trend: how the losses went; None: too few samples, or the device does not say.
    """

    delta: NDArray[np.float32]
    samples: int
    loss_first: float
    loss_mean: float
    loss_last: float
    meters: dict[str, float] = field(default_factory=dict)
    trend: Trend | None = None


@dataclass(frozen=True)
class WatchResult:
    """What watching gave.

    Args:
        samples: samples seen.
        learnt: those that were learnt, while the losses had drifted.
        unlabelled: those without a target, which were predicted only.
        drifts: drifts that began.
        drifting: whether the losses have drifted now.
        score: standard deviations that the last loss was above the mean before it.
        loss_mean: mean loss; NaN without a labelled sample.
        loss_last: loss of the last labelled sample.
    """

    samples: int
    learnt: int
    unlabelled: int
    drifts: int
    drifting: bool
    score: float
    loss_mean: float
    loss_last: float


class Trainer(Protocol):
    """The part of a worker that a round needs."""

    def train(self, artefact: bytes, plan: Plan, /) -> TrainResult:
        """Learn from the device's own samples, starting from an artefact's parameters."""


class Worker(Protocol):
    """One device; a session calls it from one thread at a time.

    A call that cannot be done raises: DoesNotFit with both figures where memory is short,
    another TinyfleetError where something can be said, and the device goes on as before.
    """

    @property
    def running(self) -> str | None:
        """SHA-256 of the active artefact; None: none yet."""

    def check(self) -> bool:
        """Whether the device answers; asked while there is nothing else to do."""

    @property
    def waiting(self) -> bool:
        """Whether it waits for a sample now, which may never come."""

    def description(self, topics: DeviceTopics) -> dict[str, Any]:
        """The Thing Description."""

    def train(self, artefact: bytes, plan: Plan) -> TrainResult:
        """Learn from the device's own samples, starting from an artefact's parameters."""

    def deploy(self, artefact: bytes) -> Outcome:
        """Make an artefact the active one; the one before it is kept for `rollback`."""

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the model: [n, n_in] to [n, n_out]."""

    def evaluate(self, samples: int) -> Outcome:
        """Measure on own samples: `loss` (mean), `correct`, `samples`."""

    def watch(self, samples: int, plan: Plan, watching: Watching | None = None) -> WatchResult:
        """Infer on own samples, and learn as planned while their losses have drifted."""

    def rollback(self) -> Outcome:
        """Make the artefact before the active one active again."""

    def stop(self) -> None:
        """Take no further sample, from any thread: what is in hand is Interrupted."""

    def close(self) -> None:
        """Keep what was learnt, and give resources back."""
