"""Digits by a speaker that training never heard: before adapting, after 1 and 5 takes of each.

Each of the four speakers is left out in turn; the model is meta-trained anew on the other three,
for each seed. The speaker's takes train the two dense layers, by plain SGD. Beside it, on the same
takes: logistic regression on the speaker's own takes alone, 13 cepstra of 16 frames, standardised.
With data, server/models/digits.tflite is measured on the speakers of the data.
"""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.artifact import Artifact
from firmware_sim.planner import plan_memory
from server.evaluate import Adaptation, adapt, estimate
from server.figures import Figure, figure
from server.models import model
from server.presets import adaptation
from server.tasks.sounds import DigitsTask

SEEDS = (0, 1, 2)
EPISODES = 4
SHOTS = (1, 5)
TARGETS = {0: 0.80, 1: 0.95, 5: 0.995}
QUERIES = 45
BOARD = "nano33ble"
Rows = NDArray[np.float64]


def cepstra(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """13 cepstra of 16 frames from log-mel clips."""
    from scipy.fft import dct

    halved = x.reshape(len(x), 16, 2, -1).mean(2)
    return np.asarray(dct(halved, axis=2, norm="ortho")[:, :, :13].reshape(len(x), -1))


def speaker(task: DigitsTask, file: bytes, index: int) -> Rows:
    """[shots, episodes, 3]: accuracy before, after, and alone."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    client, rows = task.client(index, "test"), []
    for shots in SHOTS:
        how = Adaptation(**adaptation("digits", frozen=True) | {"shots": shots})
        for number in range(EPISODES):
            rng = np.random.default_rng([number, index])
            episode = client.episode(rng, shots=shots, queries=QUERIES)
            fitted = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
            fitted.fit(cepstra(episode.support_x), episode.support_y[:, 0])
            found = fitted.predict(cepstra(episode.query_x))
            alone = float(np.mean(found == episode.query_y[:, 0]))
            rows.append((*adapt(task, file, episode, how), alone))
    return np.array(rows).reshape(len(SHOTS), EPISODES, 3)


def fold(number: int, seed: int) -> Rows:
    """Train without a speaker, and measure on that one."""
    import torch

    from server.meta.digits import digits_model
    from server.meta.speakers import SpeakerRecipe

    torch.set_num_threads(1)
    task = DigitsTask(fold=number)
    return speaker(task, digits_model(task, SpeakerRecipe(seed=seed)), 0)


def figures(data: Path | None) -> Iterator[Figure]:
    """Accuracy at 0, 1 and 5 takes beside training alone; what the model needs of a board."""
    if data is None:
        jobs = [(number, seed) for number in range(DigitsTask.folds) for seed in SEEDS]
        with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
            found = np.array(list(pool.map(fold, *zip(*jobs, strict=True))))
        found = found.reshape(DigitsTask.folds, len(SEEDS), len(SHOTS), EPISODES, 3)
        note = f"{DigitsTask.folds} speakers, {len(SEEDS)} seeds, {EPISODES} episodes"
    else:
        task = DigitsTask(data=data)
        rows = [speaker(task, model("digits"), i) for i in range(task.clients("test"))]
        found, note = np.array(rows)[:, None], f"{len(rows)} speakers, the shipped model"
    means = {0: found[..., 0].mean((2, 3))}
    means |= {shots: found[:, :, i, :, 1].mean(-1) for i, shots in enumerate(SHOTS)}
    for shots, values in means.items():
        mean = estimate(values)
        worst = f"worst speaker {values.mean(1).min():.3f}"
        text = f"[95 %: {mean}], {worst}; {note}"
        yield figure(f"digits.k{shots}", mean.mean, "accuracy", f">= {TARGETS[shots]}", text)
    for i, shots in enumerate(SHOTS):
        alone = float(found[:, :, i, :, 2].mean())
        note = f"alone, from {shots} takes a digit"
        yield figure(f"digits.local.k{shots}", alone, "accuracy", "", note)
        margin = float(means[shots].mean()) - alone
        yield figure(f"digits.above_local.k{shots}", margin, "accuracy", ">= 0")
    plan = plan_memory(Artifact(model("digits")), BOARD, train_layers=2)
    yield figure("digits.ram", plan.ram_train, "bytes", "<= 262144", f"to train, on {BOARD}")
    yield figure("digits.flash", len(model("digits")), "bytes", "<= 1048576", "the model")
