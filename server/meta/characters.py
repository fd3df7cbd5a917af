"""The characters' backbone, from drawings to the file that devices get."""

from collections.abc import Callable

import numpy as np

from server.meta.backbone import Backbone, hybrid
from server.meta.prototypes import Episodes, meta_train
from server.tasks.characters import CharactersTask

__all__ = ["characters_model"]


def characters_model(
    how: Episodes,
    *,
    classes: int,
    filters: int,
    on_step: Callable[[int, float], None] | None = None,
) -> bytes:
    """Meta-train on the drawings of the training alphabets.

    Args:
        how: the episodes.
        classes: of the head; all are spare.
        filters: of every convolution.
        on_step: called with the step, from 1, and its loss.

    Returns:
        A hybrid `.tflite`: int8 convolutions, and a float32 head without any class yet.
    """
    drawings = CharactersTask(side=28).drawings("train")
    backbone = Backbone(filters=filters)
    module = meta_train(backbone, drawings, how, on_step=on_step)
    calibration = [group[0].reshape(-1) for group in drawings[:: max(len(drawings) // 200, 1)]]
    return hybrid(backbone, module, np.stack(calibration), classes, "characters")
