"""Is somebody there, in a room that training never saw; and what two algorithms for devices save.

Each of the four rooms is left out in turn; models are made anew for each room and seed, from the
other three. An unseen room labels 400 of its rows. Beside it, on the same rows: logistic regression
on the 400 alone. With data, its rooms are unseen and all four are trained on.

TinyReptile and Reptile see as many samples of as many clients, on the same board; Reptile goes over
a client's samples several times, so that they have to be kept. TinyMetaFed is held against itself
with all values of the shared part on the wire as float32.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from edge.artifact import Artifact
from firmware_sim.measure import learning_cost
from firmware_sim.planner import plan_memory
from server.bench_models import ArraySensor
from server.evaluate import Adaptation, each_client, estimate
from server.figures import Figure, figure
from server.presets import adaptation, strategy_options
from server.simulate import new_model, simulate
from server.strategies import get_strategy
from server.tasks.presence import PresenceTask, balanced_accuracy

SEEDS = (0, 1, 2)
ROOMS = 4
APART_SHOTS = 50  # as many as every room has in half of its days
QUERIES = 100_000  # all rows that are left
BOARD = "nano33ble"
SAMPLES, EPOCHS, CLIENTS = 128, 3, 2400
STRATEGIES = {
    "reptile": strategy_options("presence", "reptile"),
    "reptile of 128": {
        "samples": SAMPLES,
        "epochs": EPOCHS,
        "rate": 0.02,
        "cohort_size": 6,
        "first_outer_rate": 0.5,
    },
    "tinyreptile of 128": {"samples": SAMPLES, "rate": 0.02, "first_outer_rate": 0.5},
    "tinymetafed": {"rate": 0.02, "cohort_size": 6, "first_outer_rate": 0.5, "top_p": 0.15},
}
STRATEGIES["tinymetafed, all on the wire"] = STRATEGIES["tinymetafed"] | {"top_p": 1.0, "bits": 32}
ROUNDS = {"reptile of 128": CLIENTS // 6, "tinyreptile of 128": CLIENTS}


@dataclass(frozen=True)
class Found:
    """Balanced accuracy [rooms, seeds, 2] before and after adapting; bytes sent by a client."""

    pairs: np.ndarray
    update_bytes: float


def how() -> Adaptation:
    """The usual adaptation, measured on all other rows."""
    return Adaptation(**adaptation("presence", frozen=False) | {"queries": QUERIES})


def tasks(data: Path | None, *, apart: bool = False) -> list[PresenceTask]:
    """One for each unseen room, or one for the rooms of a file."""
    if data is not None:
        return [PresenceTask(data=data, apart=apart)]
    return [PresenceTask(unseen=room, apart=apart) for room in range(ROOMS)]


@cache
def trained(name: str, unseen: int, seed: int, data: Path | None) -> tuple[Artifact, float]:
    """A model, and the bytes of an update."""
    strategy = get_strategy(name.split(",")[0].split(" ")[0], **STRATEGIES[name])
    out = simulate(tasks(data)[unseen], strategy, ROUNDS.get(name, 800), seed=seed)
    return out.artifact, out.bytes_up / out.updates


def measured(name: str, data: Path | None, *, apart: bool = False) -> Found:
    """Train and evaluate on every unseen room, with all seeds; with apart, on other days."""
    adapting = replace(how(), shots=APART_SHOTS) if apart else how()
    rooms, sent = [], []
    for unseen, task in enumerate(tasks(data, apart=apart)):
        row = []
        for seed in SEEDS:
            model, size = trained(name, unseen, seed, data)
            row.append(each_client(task, model.data, adapting, clients=99, seeds=(seed,))[:, 0])
            sent.append(size)
        rooms.append(np.stack(row, axis=1))
    return Found(np.concatenate(rooms), float(np.mean(sent)))


def alone(data: Path | None) -> float:
    """Logistic regression on a room's own labels."""
    from sklearn.linear_model import LogisticRegression

    found = []
    for task in tasks(data):
        for index in range(task.clients("test")):
            for seed in SEEDS:
                rng = np.random.default_rng([seed, index])
                e = task.client(index, "test").episode(rng, shots=how().shots, queries=QUERIES)
                fitted = LogisticRegression(max_iter=1000).fit(e.support_x, e.support_y[:, 0])
                found.append(balanced_accuracy(fitted.predict_proba(e.query_x), e.query_y))
    return float(np.mean(found))


def figures(data: Path | None) -> Iterator[Figure]:
    """Balanced accuracy in unseen rooms; then the two algorithms."""
    found = measured("reptile", data)
    before, after = (estimate(found.pairs[:, :, column]) for column in (0, 1))
    labels = f"{2 * how().shots} labels of the room"
    note = f"[95 %: {after}], {after.clients} rooms, {len(SEEDS)} seeds; not adapted {before}"
    yield figure("presence.unseen_room", after.mean, "balanced acc.", ">= 0.94", note)
    yield figure("presence.unadapted", before.mean, "balanced acc.", "", "no label of the room")
    yield figure("presence.local", alone(data), "balanced acc.", "", f"alone, from {labels}")
    other = estimate(measured("reptile", data, apart=True).pairs[:, :, 1])
    note = f"measured on other days than those of its {2 * APART_SHOTS} labels"
    yield figure("presence.other_days", other.mean, "balanced acc.", "", note)
    if data is None:
        yield from algorithms()


def instructions(model: Artifact, passes: int) -> float:
    """What learning from the samples of one client costs an emulated board."""
    client = PresenceTask().client(0, "test")
    episode = client.episode(np.random.default_rng(0), shots=SAMPLES // 2, queries=1)
    sensor = ArraySensor(episode.support_x, episode.support_y)
    cost = learning_cost(BOARD, model.data, sensor, samples=passes * SAMPLES, rate=0.01)
    return cost.calls * cost.instructions


def algorithms() -> Iterator[Figure]:
    """TinyReptile and TinyMetaFed on the same task and board."""
    batch, online = measured("reptile of 128", None), measured("tinyreptile of 128", None)
    model = new_model(PresenceTask())
    ram = plan_memory(model, BOARD).ram_train
    kept = SAMPLES * 4 * (model.spec.n_in + 1)
    scores = [float(found.pairs[:, :, 1].mean()) for found in (batch, online)]
    note = f"reptile {scores[0]:.4f}, tinyreptile {scores[1]:.4f}, {CLIENTS} clients each"
    yield figure("tinyreptile.metric_loss", scores[0] - scores[1], "bal. acc.", "<= 0.01", note)
    note = f"{ram} bytes in all on {BOARD}; reptile keeps {SAMPLES} samples beside, {kept} bytes"
    yield figure("tinyreptile.ram_ratio", (ram + kept) / ram, "x", ">= 2", note)
    once, several = (instructions(model, passes) for passes in (1, EPOCHS))
    note = f"{once:,.0f} instructions a client on {BOARD}, reptile {several:,.0f}"
    yield figure("tinyreptile.time_ratio", several / once, "x", ">= 2", note)
    dense, few = measured("tinymetafed, all on the wire", None), measured("tinymetafed", None)
    whole = 4 * model.spec.n_parameters
    scores = [float(found.pairs[:, :, 1].mean()) for found in (dense, few)]
    note = (
        f"{few.update_bytes:.0f} of {whole} bytes an update; {scores[1]:.4f}, dense {scores[0]:.4f}"
    )
    yield figure("tinymetafed.bytes_share", few.update_bytes / whole, "", "<= 0.1", note)
    note = f"{scores[1]:.4f}, dense {scores[0]:.4f}"
    yield figure("tinymetafed.metric_loss", scores[0] - scores[1], "bal. acc.", "<= 0.01", note)
