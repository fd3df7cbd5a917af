"""The applications on unseen clients, with device-sized models and the devices' own learner.

Characters: episodes of classes of the Omniglot evaluation alphabets that are here, all alphabets
mixed, as usually published; the backbone in server/models was meta-trained on the background
alphabets alone (`tinyfleet server pretrain`). Its head starts without classes and learns them by
plain SGD. `--data FILE.npz` takes other drawings. Beside it, on the same
episodes, the nearest support drawing in pixels.
Sine: reptile over simulated waves, then 8 points of an unseen wave.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from harness import Figure, figure, show

from edge.artifact import Artifact
from firmware_sim.planner import plan_memory
from server.evaluate import Adaptation, adapt, adapted, estimate
from server.fleet import FleetEngine
from server.models import model
from server.presets import ADAPTATION
from server.simulate import simulate
from server.strategies import get_strategy
from server.tasks.base import Episode
from server.tasks.characters import CharactersTask
from server.tasks.sine import SineTask

SEEDS = (0, 1, 2)
OMNIGLOT = {(5, 1): 0.95, (5, 5): 0.985, (20, 1): 0.86, (20, 5): 0.955}
EPISODES = {(5, 1): 100, (5, 5): 60, (20, 1): 40, (20, 5): 15}
QUERIES = 5
BOARD = "nano33ble"
SINE_ROUNDS = 10_000


def nearest(episode: Episode) -> float:
    """Accuracy of the nearest support drawing."""
    distances = ((episode.query_x[:, None] - episode.support_x[None]) ** 2).sum(2)
    return float(np.mean(episode.support_y[distances.argmin(1), 0] == episode.query_y[:, 0]))


def characters(data: Path | None) -> Iterator[Figure]:
    file = model("characters")
    for (ways, shots), target in OMNIGLOT.items():
        task = CharactersTask(ways=ways, side=28, mixed=True, data=data)
        client, how = task.client(0, "test"), Adaptation(**ADAPTATION["characters.tflite"])
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


def memory() -> Iterator[Figure]:
    found = plan_memory(Artifact(model("characters")), BOARD, train_layers=1)
    yield figure("omniglot.ram", found.ram_train, "bytes", "<= 262144", f"to train, on {BOARD}")
    yield figure("omniglot.flash", len(model("characters")), "bytes", "<= 1048576", "the model")


def sine() -> Iterator[Figure]:
    """Reptile over simulated waves: a slow start, so that none runs away, then the linear fall."""
    task, engine, outcomes = SineTask(), FleetEngine(), []
    for seed in SEEDS:
        base = None
        for rounds, rate, schedule in (
            (SINE_ROUNDS // 20, 0.00075, "constant"),
            (SINE_ROUNDS, 0.003, "linear"),
        ):
            strategy = get_strategy(
                "reptile", samples=16, epochs=16, rate=rate, first_outer_rate=0.5, schedule=schedule
            )
            base = simulate(task, strategy, rounds, 128, seed, base=base, engine=engine).artifact
        how = Adaptation(8, 32, 0.003, queries=100)
        outcomes.append(adapted(task, base.data, how, clients=100, seeds=(seed,)))
    before, after = (np.mean([found[i].mean for found in outcomes]) for i in (0, 1))
    note = f"not adapted {before:.2f}; 32 passes over 8 points, {SINE_ROUNDS:,} rounds of 128"
    yield figure("sine.mse8", float(after), "mse", "<= 0.08", note)


def measure(data: Path | None) -> Iterator[Figure]:
    yield from characters(data)
    yield from memory()
    yield from sine()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON for scripts")
    parser.add_argument("--data", type=Path, help="drawings for the characters (.npz)")
    arguments = parser.parse_args()
    return int(not show(measure(arguments.data), print, as_json=arguments.json))


if __name__ == "__main__":
    sys.exit(main())
