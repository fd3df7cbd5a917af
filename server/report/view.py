"""A run as its journal tells it, and its model measured: all that reports and comparisons show."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError
from edge.messages import Offer
from server.energy import TrainingEnergy, training_energy
from server.evaluate import Adaptation, each_client, estimate
from server.journal import Journal, RoundRow, UpdateRow
from server.presets import ADAPTATION
from server.run import RunConfig, RunFolder, read_config
from server.standing import Standing, standing
from server.tasks import Task, get_task

__all__ = ["Curve", "RunView", "Traffic", "view_of"]

Curve = Sequence[tuple[int, float]]


@dataclass(frozen=True)
class Traffic:
    """Bytes of one round.

    Args:
        round: its number.
        up: payloads that came in, the refused ones too.
        down: the offer and the model, once for each device of the cohort.
    """

    round: int
    up: int
    down: int


@dataclass(frozen=True)
class RunView:
    """One run.

    Args:
        folder: where it is.
        config: what it is.
        task: its task.
        status: running, stopped, done or failed.
        rounds: the rounds that have ended.
        updates: every answer.
        traffic: of every round.
        model: bytes of the newest model.
        sha256: its digest.
        pairs: float64 [clients, seeds, 2], metric of unseen clients before and after adapting;
            None: the task has none here.
        baselines: the same with baselines; None: not asked for, or no clients.
        energy: of training; None: not known.
    """

    folder: Path
    config: RunConfig
    task: Task
    status: str
    rounds: list[RoundRow]
    updates: list[UpdateRow]
    traffic: list[Traffic]
    model: bytes
    sha256: str
    pairs: NDArray[np.float64] | None
    baselines: Standing | None
    energy: TrainingEnergy | None

    def curve(self, name: str) -> list[tuple[int, float]]:
        """(round, value) wherever a round has a figure, such as loss_mean."""
        return [(row.round, row.metrics[name]) for row in self.rounds if name in row.metrics]

    def learning(self, name: str) -> list[tuple[int, float]]:
        """The metric of unseen devices, `before` or `after`, wherever it was measured."""
        return self.curve(f"{self.task.metric}_{name}")

    @property
    def bytes_up(self) -> int:
        """Of all rounds."""
        return sum(entry.up for entry in self.traffic)

    @property
    def bytes_down(self) -> int:
        """Of all rounds."""
        return sum(entry.down for entry in self.traffic)

    @property
    def steps(self) -> int:
        """Training steps of the updates that counted."""
        return sum(row.samples for row in self.updates if row.accepted)

    def figures(self) -> dict[str, Any]:
        """The figures that runs are compared by; None where there are no unseen clients."""
        pairs = self.pairs
        before, after = (
            (None, None) if pairs is None else (estimate(pairs[:, :, 0]), estimate(pairs[:, :, 1]))
        )
        return {
            "run": self.config.run,
            "task": self.config.task,
            "strategy": self.config.strategy,
            "status": self.status,
            "metric": self.task.metric,
            "before": before and before.mean,
            "after": after and after.mean,
            "low": after and after.low,
            "high": after and after.high,
            "rounds": len(self.rounds),
            "updates": sum(row.accepted for row in self.updates),
            "bytes up": self.bytes_up,
            "bytes down": self.bytes_down,
            "training J": None if self.energy is None else self.energy.joules,
            "model": self.sha256,
        }


def view_of(
    path: Path,
    *,
    clients: int = 20,
    seeds: Sequence[int] = (0, 1, 2),
    pool_steps: int | None = None,
) -> RunView:
    """Read a run's folder and measure its newest model.

    Args:
        path: the folder.
        clients: unseen clients, at most.
        seeds: episodes of each.
        pool_steps: with a number also measure the baselines, pooled training with so many steps.

    Raises:
        UsageError: there is no run, or none of its rounds has ended.
    """
    folder = RunFolder.existing(path)
    with Journal(folder.journal) as journal:
        config = read_config(journal)
        rounds = [row for row in journal.rounds(config.run) if row.status != "open"]
        if not rounds:
            raise UsageError(
                f"no round of {path} has ended.", hint=f"tinyfleet server resume {path}"
            )
        updates, status = journal.updates(config.run), journal.run(config.run).status
        sha256 = journal.current(config.run)
        model = journal.artifact(sha256)
        traffic = [_traffic(row, updates, len(journal.artifact(row.base))) for row in rounds]
    task = get_task(config.task, **config.task_options)
    pairs, baselines = None, None
    if task.clients("test"):
        how = Adaptation(**ADAPTATION[task.name])
        if pool_steps is None:
            pairs = each_client(task, model, how, clients=clients, seeds=seeds)
        else:
            baselines = standing(
                task, model, how, clients=clients, seeds=seeds, pool_steps=pool_steps
            )
            pairs = baselines.pairs
    steps = sum(row.samples for row in updates if row.accepted)
    energy = training_energy(model, rounds[-1].plan, steps=steps)
    return RunView(
        folder.path, config, task, status, rounds, updates, traffic, model, sha256, pairs,
        baselines, energy,
    )  # fmt: skip


def _traffic(row: RoundRow, updates: Sequence[UpdateRow], model: int) -> Traffic:
    offer = Offer(
        row.run, row.round, row.base, row.cohort, row.plan, row.started, f"{row.run}/{row.round}"
    )
    up = sum(update.bytes for update in updates if update.round == row.round)
    return Traffic(row.round, up, len(row.cohort) * (model + len(offer.encode())))
