"""Bed, cat and happy by speakers that training never heard, before any adaptation.

Without data, five folds by speaker: the model is trained anew without the speakers that it is
measured on, for each fold and seed, as server/models/keywords.tflite was on all speakers. With
data, that file is measured on the speakers of the data.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edge.artifact import Artifact
from edge.learner import OnlineLearner
from firmware_sim.planner import plan_memory
from server.evaluate import estimate
from server.figures import Figure, figure
from server.models import model
from server.tasks.sounds import KeywordsTask

SEEDS = (0, 1, 2)
BOARD = "nano33ble"


def by_speaker(task: KeywordsTask, file: bytes) -> dict[int, float]:
    """Accuracy over all clips of each test speaker."""
    learner = OnlineLearner(file, infer_only=True)
    right = learner.predict_many(task.features(task.test)).argmax(1) == task.test.word
    speakers = task.test.speaker
    return {int(one): float(right[speakers == one].mean()) for one in np.unique(speakers)}


def _folds() -> Iterator[tuple[dict[int, float], int]]:
    import torch

    from server.meta.keywords import keywords_model
    from server.meta.words import Recipe

    torch.set_num_threads(1)
    for seed in SEEDS:
        found: dict[int, float] = {}
        for fold in range(KeywordsTask.folds):
            task = KeywordsTask(fold=fold)
            found |= by_speaker(task, keywords_model(task, Recipe(seed=seed)))
        yield found, seed


def figures(data: Path | None) -> Iterator[Figure]:
    """Accuracy before adaptation, and what the model needs of a board."""
    if data is None:
        rows = [found for found, _ in _folds()]
        values = np.array([[row[speaker] for row in rows] for speaker in rows[0]])
        note = f"{KeywordsTask.folds} folds by speaker, {len(SEEDS)} seeds"
    else:
        found = by_speaker(KeywordsTask(data=data), model("keywords"))
        values, note = np.array(list(found.values()))[:, None], "the shipped model"
    mean = estimate(values)
    note = f"[95 %: {mean}], {mean.clients} speakers; {note}"
    yield figure("keywords.unadapted", mean.mean, "accuracy", ">= 0.92", note)
    plan = plan_memory(Artifact(model("keywords")), BOARD, train_layers=1)
    yield figure("keywords.ram", plan.ram_train, "bytes", "<= 262144", f"to train, on {BOARD}")
    yield figure("keywords.flash", len(model("keywords")), "bytes", "<= 1048576", "the model")
