"""The digits' classifier, from clips to the file that devices get."""

from collections.abc import Callable

import numpy as np

from server.meta.convnet import ConvNet
from server.meta.speakers import SpeakerRecipe, train_speakers
from server.tasks.sounds import SpokenTask

__all__ = ["digits_model"]

FILTERS = (24, 24, 48, 48)
STRIDES = ((2, 1), (1, 1), (2, 2), (2, 2))
EMBEDDING = 32


def digits_model(
    task: SpokenTask, how: SpeakerRecipe, on_step: Callable[[int, float], None] | None = None
) -> bytes:
    """Meta-train on the clips of a task's training speakers.

    Args:
        task: the task; its test speakers are not looked at.
        how: the recipe.
        on_step: called with the step, from 1, and its loss.

    Returns:
        A hybrid `.tflite`: int8 convolutions, and two float32 dense layers that devices train.
    """
    sounds = task.sounds
    net = ConvNet((sounds.length, sounds.bands), task.ways, FILTERS, STRIDES, EMBEDDING, 0.3)
    module = train_speakers(net, task.train, sounds, how, on_step)
    samples = task.features(task.train)[:: max(len(task.train.audio) // 200, 1)]
    return net.hybrid(module, np.ascontiguousarray(samples), task.name)
