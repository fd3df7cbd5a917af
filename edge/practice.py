"""A learner and its samples as they come: what has a label is learnt, what has none is inferred.

The firmware does the same in `firmware_sim/firmware/training.c`, bit for bit.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge.errors import TinyfleetError
from edge.learner import LearnerError, OnlineLearner
from edge.learner.monitor import DriftMonitor
from edge.stepping import Steps, Watching
from edge.worker import WatchResult

__all__ = ["Practice", "Watcher"]

Float32 = NDArray[np.float32]
NextSample = Callable[[], tuple[Float32, Float32]]


class NoLabel(TinyfleetError):
    """No sample had a label."""


@dataclass
class Practice:
    """One learner that takes samples.

    Args:
        learner: laid out to train.
        classes: whether a target is a class index.
        steps: how it steps; `reconstruct` needs no labels.
        stepped: called after each step; None: nobody asks.
    """

    learner: OnlineLearner
    classes: bool
    steps: Steps
    stepped: Callable[[], None] | None = None
    _used: set[float] = field(default_factory=set, init=False, repr=False)

    def labelled(self, target: Float32) -> bool:
        """Whether a target is known; NaN says that nobody knows it."""
        return self.steps.reconstruct or not np.isnan(target[0])

    def learn(self, x: Float32, target: Float32, rate: float) -> float:
        """Take one step, and give the loss before it.

        A class that is seen for the first time is put into use.
        """
        if self.classes and target[0] not in self._used and np.isfinite(rate):
            self.loss(x, target)  # refuses what cannot be learnt
            with suppress(LearnerError):  # a head that has no bias for each class has none spare
                self.learner.add_class(int(target[0]))
            self._used.add(float(target[0]))
        loss = self.learner.learn_one(x, self._known(target), rate=rate)
        if self.stepped is not None:
            self.stepped()
        return loss

    def loss(self, x: Float32, target: Float32) -> float:
        """The loss of a sample, without learning from it."""
        return self.learner.loss_one(x, self._known(target))

    def evaluate(self, samples: Iterable[tuple[Float32, Float32]]) -> tuple[Float32, int]:
        """Losses of the labelled samples, and how many classes were right.

        Raises:
            NoLabel: no sample had a label.
        """
        losses, correct = [], 0
        frozen = not self.learner.parameters.size
        for x, target in samples:
            if not self.labelled(target):
                continue
            losses.append(self._loss_of_answer(x, target) if frozen else self.loss(x, target))
            if self.classes:
                correct += int(np.argmax(self.learner.predict_one(x)) == int(target[0]))
        return _some(np.array(losses, np.float32)), correct

    def _loss_of_answer(self, x: Float32, target: Float32) -> float:
        """Of a learner that has no loss: the squared error of its answer; NaN for classes."""
        if self.classes:
            return float("nan")
        squares = (self.learner.predict_one(x) - target) ** 2
        return float(np.add.accumulate(squares, dtype=np.float32)[-1] / np.float32(squares.size))

    def _known(self, target: Float32) -> Float32:
        return target[:0] if self.steps.reconstruct else target

    def train(self, samples: Iterable[tuple[Float32, Float32]], rates: Float32) -> Float32:
        """Start at rest and take as many samples as there are rates.

        Returns:
            The losses of the labelled ones, each before its step; the others are predicted.

        Raises:
            NoLabel: no sample had a label.
        """
        self.learner.come_to_rest()
        losses, count = np.empty(len(rates), np.float32), 0
        for (x, target), rate in zip(samples, rates, strict=True):
            if not self.labelled(target):
                self.learner.predict_one(x)
                continue
            losses[count] = self.learn(x, target, float(rate))
            count += 1
        return _some(losses[:count])


class Watcher:
    """Infers, and learns only while the losses have drifted.

    Args:
        practice: the learner.
        rate: of the first step after a drift.
        watching: when a rise of the losses is a drift, and how long it is learnt from.
    """

    def __init__(self, practice: Practice, rate: float, watching: Watching) -> None:
        """Start a monitor that knows no loss."""
        self.practice, self.watching = practice, watching
        self.monitor = DriftMonitor(watching)
        self.rate = rate
        self._left = 0

    @property
    def learning(self) -> bool:
        """Whether the next labelled sample is learnt."""
        return self._left > 0

    def take(self, samples: int, next_sample: NextSample) -> WatchResult:
        """Look at some samples; the monitor goes on from the last call."""
        losses, learnt, drifts, score = [], 0, 0, 0.0
        for _ in range(samples):
            x, target = next_sample()
            if not self.practice.labelled(target):
                self.practice.learner.predict_one(x)
                continue
            learns = self.learning
            losses.append(self._learn(x, target) if learns else self._loss(x, target))
            score = self.monitor.score(losses[-1])
            drifts += self._heed(losses[-1], learns)
            learnt += learns
        total = np.add.accumulate(np.array(losses, np.float32))
        known = len(losses) > 0
        return WatchResult(
            samples=samples,
            learnt=learnt,
            unlabelled=samples - len(losses),
            drifts=drifts,
            drifting=self.monitor.drift,
            score=score,
            loss_mean=float(total[-1] / np.float32(len(losses))) if known else float("nan"),
            loss_last=losses[-1] if known else float("nan"),
        )

    def _loss(self, x: Float32, target: Float32) -> float:
        return self.practice.loss(x, target)

    def _learn(self, x: Float32, target: Float32) -> float:
        most = np.float32(self.watching.most)
        rate = np.float32(self.rate)
        if self.practice.steps.schedule == "linear":
            rate = rate * (np.float32(self._left) / most)
        return self.practice.learn(x, target, float(rate))

    def _heed(self, loss: float, learnt: bool) -> bool:
        """Go by what the monitor says of one loss; gives whether a drift began."""
        before = self.monitor.drift
        now = self.monitor.update(loss)
        self._left -= learnt
        if now and not before:
            self._left = self.watching.most
            self.practice.learner.come_to_rest()
        elif now and not self._left:
            self.monitor = DriftMonitor(self.watching)
        elif not now:
            self._left = 0
        return now and not before


def _some(losses: Float32) -> Float32:
    if not losses.size:
        raise NoLabel("no sample had a label.", hint="targets that are not NaN")
    return losses
