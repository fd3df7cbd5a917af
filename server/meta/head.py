"""Few-shot classes on the head of a frozen backbone, as a device learns them."""

from dataclasses import dataclass

import numpy as np

from edge.learner import OnlineLearner
from edge.practice import Practice
from edge.stepping import Steps
from server.tasks.base import Episode

__all__ = ["Few", "few_shot_accuracy"]


@dataclass(frozen=True)
class Few:
    """How a device learns classes it has never seen.

    Args:
        epochs: passes over the support set.
        rate: SGD rate of the head.
    """

    epochs: int = 10
    rate: float = 1e-3


def few_shot_accuracy(model: bytes, episode: Episode, how: Few) -> float:
    """Share of queries answered right after learning an episode's classes on a fresh learner.

    Args:
        model: a `.tflite` whose head has spare classes; each is put into use when it is first seen.
        episode: its support set is learnt from in order, its query set is measured on.
        how: the steps.
    """
    practice = Practice(OnlineLearner(model, train_layers=1), classes=True, steps=Steps())
    for _ in range(how.epochs):
        for x, y in zip(episode.support_x, episode.support_y, strict=True):
            practice.learn(x, y, how.rate)
    outputs = practice.learner.predict_many(episode.query_x)
    return float(np.mean(outputs.argmax(axis=1) == episode.query_y[:, 0]))
