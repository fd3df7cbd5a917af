"""Unseen characters of unseen alphabets: episodes of the Omniglot evaluation set.

All alphabets are mixed, as usually published; the backbone in server/models was meta-trained on the
background alphabets alone (`tinyfleet server pretrain`). Its head starts without classes and learns
them by plain SGD. Beside it, on the same episodes, the nearest support drawing in pixels.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edge.artifact import Artifact
from firmware_sim.planner import plan_memory
from server.evaluate import Adaptation, adapt, estimate
from server.figures import Figure, figure
from server.models import model
from server.presets import adaptation
from server.tasks.base import Episode
from server.tasks.characters import CharactersTask

SEEDS = (0, 1, 2)
TARGETS = {(5, 1): 0.95, (5, 5): 0.985, (20, 1): 0.86, (20, 5): 0.955}
EPISODES = {(5, 1): 100, (5, 5): 60, (20, 1): 40, (20, 5): 15}
QUERIES = 5
BOARD = "nano33ble"


def nearest(episode: Episode) -> float:
    """Accuracy of the nearest support drawing."""
    distances = ((episode.query_x[:, None] - episode.support_x[None]) ** 2).sum(2)
    return float(np.mean(episode.support_y[distances.argmin(1), 0] == episode.query_y[:, 0]))


def figures(data: Path | None) -> Iterator[Figure]:
    """Accuracy after adapting, and what the model needs of a board."""
    file = model("characters")
    how = Adaptation(**adaptation("characters", frozen=True))
    for (ways, shots), target in TARGETS.items():
        task = CharactersTask(ways=ways, side=28, mixed=True, data=data)
        client = task.client(0, "test")
        ours, pixels = [], []
        for seed in SEEDS:
            for number in range(EPISODES[ways, shots]):
                rng = np.random.default_rng([seed, number])
                episode = client.episode(rng, shots=shots, queries=QUERIES)
                ours.append(adapt(task, file, episode, how)[1])
                pixels.append(nearest(episode))
        found = estimate(np.array(ours)[:, None])
        note = f"[95 %: {found}], {found.clients} episodes; pixel 1-NN {np.mean(pixels):.3f}"
        yield figure(f"omniglot.{ways}w{shots}s", found.mean, "accuracy", f">= {target}", note)
    plan = plan_memory(Artifact(file), BOARD, train_layers=1)
    yield figure("omniglot.ram", plan.ram_train, "bytes", "<= 262144", f"to train, on {BOARD}")
    yield figure("omniglot.flash", len(file), "bytes", "<= 1048576", "the model")
