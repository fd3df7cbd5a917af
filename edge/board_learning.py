"""The requests by which a board learns: TRAIN, WATCH and ADD_CLASS."""

from typing import Any

import numpy as np

from edge.board_answers import BoardTraining
from edge.board_link import Reply
from edge.board_words import Key, Op
from edge.stepping import Steps, Watching
from edge.worker import WatchResult

__all__ = ["BoardLearning", "layout_fields"]


def layout_fields(train_layers: int, standardise: bool, steps: Steps) -> dict[Any, Any]:
    """The fields of a request that say how the board lays its learner out."""
    return {Key.TRAIN_LAYERS: train_layers, Key.FLAGS: steps.flags(standardise=standardise)}


class BoardLearning:
    """Part of `BoardClient`."""

    def train(
        self,
        samples: int,
        *,
        rate: float,
        epochs: int = 1,
        train_layers: int = 0,
        standardise: bool = False,
        **steps: Any,
    ) -> BoardTraining:
        """Learn from the board's own sensor, one SGD step a sample, starting at rest.

        A sample whose target is NaN is predicted only. A spare class is put into use by its first
        sample.

        Args:
            samples: samples in an epoch.
            rate: learning rate; taken as float32.
            epochs: passes; the sensor is rewound before each but the first.
            train_layers: how many layers from the end are trained; 0: all.
            standardise: whether inputs are standardised with running statistics.
            steps: fields of `edge.stepping.Steps`: momentum, decay, clip, arithmetic, schedule,
                reconstruct.

        Raises:
            BoardError: it does not fit (ARENA), the sensor ran dry or no sample had a label
                (SENSOR), a value is not finite, the layout differs from that of changed weights
                (LAYOUT), or the core has no such arithmetic (ARGUMENT).
        """
        how = Steps(**steps)
        fields = {
            Key.SAMPLES: samples,
            Key.EPOCHS: epochs,
            Key.RATE: float(np.float32(rate)),
            **layout_fields(train_layers, standardise, how),
        }
        if how.words().strip(b"\0"):
            fields[Key.DATA] = how.words()
        r = self._work(Op.TRAIN, fields)
        return BoardTraining(
            learnt=r[Key.LEARNT],
            loss_first=r[Key.LOSS_FIRST],
            loss_mean=r[Key.LOSS_MEAN],
            loss_last=r[Key.LOSS_LAST],
            unlabelled=r.get(Key.UNLABELLED, 0),
        )

    def watch(
        self,
        samples: int,
        *,
        rate: float,
        watching: Watching | None = None,
        train_layers: int = 0,
        standardise: bool = False,
        **steps: Any,
    ) -> WatchResult:
        """Infer on the board's own sensor, and learn only while the losses have drifted.

        The monitor goes on where the last call left it, unless its options or the layout change.

        Args:
            samples: samples to look at.
            rate: learning rate, of the first step after a drift.
            watching: when a rise of the losses is a drift, and how long it is learnt from.
            train_layers: as for `train`.
            standardise: as for `train`.
            steps: as for `train`; a schedule is over the most steps of one drift.

        Raises:
            BoardError: as for `train`.
        """
        how, when = Steps(**steps), watching or Watching()
        fields = {
            Key.SAMPLES: samples,
            Key.RATE: float(np.float32(rate)),
            **layout_fields(train_layers, standardise, how),
            Key.DATA: how.words() + when.words(),
        }
        r = self._work(Op.WATCH, fields)
        return WatchResult(
            samples=r[Key.SAMPLES],
            learnt=r[Key.LEARNT],
            unlabelled=r[Key.UNLABELLED],
            drifts=r[Key.DRIFTS],
            drifting=bool(r[Key.DRIFTING]),
            score=r[Key.SCORE],
            loss_mean=r[Key.LOSS_MEAN],
            loss_last=r[Key.LOSS_LAST],
        )

    def add_class(self, index: int | None = None) -> int:
        """Put a spare class of a softmax model into use, without a new artefact.

        Args:
            index: which one; None: the first that is spare.

        Returns:
            Its index.

        Raises:
            BoardError: there is no spare class (ARGUMENT), or its layer is not trained (FROZEN).
        """
        fields: dict[int, Any] = {} if index is None else {Key.LENGTH: index}
        return int(self._work(Op.ADD_CLASS, fields)[Key.CLASS])

    def _work(self, op: Op, fields: dict[Any, Any]) -> Reply:
        raise NotImplementedError
