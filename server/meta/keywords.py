"""The keywords' classifier, from clips to the file that devices get."""

from collections.abc import Callable

import numpy as np

from server.meta.convnet import ConvNet
from server.meta.words import Recipe, train_words
from server.tasks.sounds import SpokenTask

__all__ = ["keywords_model"]

FILTERS = (16, 16, 32, 32, 32)
STRIDES = ((2, 2), (1, 1), (2, 2), (2, 2), (2, 2))


def keywords_model(
    task: SpokenTask, how: Recipe, on_step: Callable[[int, float], None] | None = None
) -> bytes:
    """Train on the clips of a task's training speakers.

    Args:
        task: the task; its test speakers are not looked at.
        how: the recipe.
        on_step: called with the step, from 1, and its loss.

    Returns:
        A hybrid `.tflite`: int8 convolutions, and a float32 head that devices can train.
    """
    sounds = task.sounds
    net = ConvNet((sounds.length, sounds.bands), task.ways, FILTERS, STRIDES)
    module = train_words(net, task.train, sounds, how, on_step)
    samples = task.features(task.train)[:: max(len(task.train.audio) // 200, 1)]
    return net.hybrid(module, np.ascontiguousarray(samples), task.name)
