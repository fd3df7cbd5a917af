"""Samples that set the int8 ranges of an export, and those that its files are tried on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError
from edge.spec import ModelSpec
from edge.tables import read_columns
from server.export.measured import Metric, Samples
from server.presets import SHOTS
from server.tasks import OWN, Task
from server.tasks.samples import hits, read_samples, squares, targets_of

__all__ = ["Trial", "calibration", "evaluation", "trial_of_file", "trial_of_task"]

Float32 = NDArray[np.float32]
FOR_RANGES = 500
"""Samples that set ranges, and that weights are refined on, at most."""
TRIED = 200
"""Samples that files are tried on, at most."""


@dataclass(frozen=True)
class Trial:
    """What an export is made and measured with.

    Args:
        ranges: float32 [n, n_in], samples that set the int8 ranges.
        samples: others, on which the files are tried.
    """

    ranges: Float32
    samples: Samples


def trial_of_task(task: Task, spec: ModelSpec) -> Trial:
    """Samples of a task: ranges from training clients, the others from those that took no part.

    Raises:
        UsageError: the samples are not as wide as the model's input, or lie on devices alone.
    """
    if task.name == OWN:
        raise UsageError("task own has its data on the devices.", hint="--data FILE.npz")
    ranges, _ = calibration(task)
    _require_width(ranges, spec, f"a sample of {task.name}", "another --task, or --data FILE.npz")
    return Trial(ranges, evaluation(task))


def trial_of_file(path: Path, spec: ModelSpec) -> Trial:
    """Samples of a user's own: every other one sets the ranges, those between try the files.

    Sorted samples are no worse for it: both halves have all that there is.

    Args:
        path: an `.npz` with x [n, ...] and, as far as known, y; or a `.csv`, whose columns are x
            where there are as many as the model has inputs, and else as `edge.sources.read_table`
            has them. y are classes, measured by accuracy: indices [n] or, of a classifier, one-hot
            [n, n_out]; or values [n, n_out], measured by mse.
        spec: of the model.

    Raises:
        UsageError: the file cannot be read, or does not fit the model.
    """
    x, y = _read(path, spec.n_in)
    _require_width(x, spec, f"a sample of {path.name}", "samples as the model takes them")
    if not np.isfinite(x).all():
        raise UsageError(f"{path} has x that are no numbers.", hint="only finite x")
    known = np.arange(len(x)) if y is None else np.flatnonzero(~np.isnan(y).any(axis=1))
    if len(known) < 2:
        what = "samples" if y is None else "samples with a label"
        raise UsageError(f"{path} has {len(known)} {what}.", hint="two or more")
    some = _spread(known[1::2], TRIED)
    targets = metric = None
    if y is not None:
        targets, metric = _measured(y[some], spec, path)
    said = f"of {path.name}; others of the file set the ranges"
    others = np.setdiff1d(np.arange(len(x)), known[1::2])
    return Trial(x[_spread(others, FOR_RANGES)], Samples(x[some], targets, metric, said))


def calibration(task: Task, *, clients: int = 50) -> tuple[Float32, Float32]:
    """At most 500 samples of training clients, x and targets, to set int8 ranges with.

    They are spread over all clients: ranges of a few would clip what the others give.
    """
    episodes = [
        task.client(index, "train").episode(
            np.random.default_rng(index), shots=SHOTS[task.name], queries=1
        )
        for index in range(min(clients, task.clients("train")))
    ]
    x = np.concatenate([episode.support_x for episode in episodes])
    some = _spread(np.arange(len(x)), FOR_RANGES)
    return x[some], np.concatenate([episode.support_y for episode in episodes])[some]


def evaluation(task: Task, *, clients: int = 40) -> Samples:
    """At most 200 samples of clients that took no part; the model is adapted to none of them."""
    episodes = [
        task.client(index, "test").episode(np.random.default_rng(index), shots=1, queries=5)
        for index in range(clients)
    ]
    x = np.concatenate([episode.query_x for episode in episodes])
    y = np.concatenate([episode.query_y for episode in episodes])
    there = min(clients, task.clients("test"))
    some = _spread(np.arange(len(x)), TRIED)
    return Samples(
        x[some],
        y[some],
        Metric(task.metric, task.measure, task.higher_is_better),
        f"of {there} client{'s' * (there != 1)} that took no part, adapted to none",
    )


def _spread(indices: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """At most so many of them, from the first to the last."""
    some = np.linspace(0, len(indices) - 1, min(len(indices), most)).astype(int)
    return np.asarray(indices[some])


def _require_width(x: Float32, spec: ModelSpec, what: str, remedy: str) -> None:
    if x.shape[1] != spec.n_in:
        raise UsageError(
            f"the model takes {spec.n_in} values, {what} has {x.shape[1]}.", hint=remedy
        )


def _read(path: Path, n_in: int) -> tuple[Float32, Float32 | None]:
    if path.is_file() and path.suffix.lower() == ".csv":
        _, columns = read_columns(path)
        if columns.shape[1] == n_in:
            return columns, None
    samples = read_samples(path, labels=False)
    return samples.x, None if np.isnan(samples.y).all() else samples.y


def _measured(y: Float32, spec: ModelSpec, path: Path) -> tuple[Float32, Metric]:
    """Targets, and by what they are measured."""
    classifier = spec.loss == "cross_entropy"
    y, classes = targets_of(y, spec.n_out, path, classifier=classifier)
    if classes:
        return y, Metric("accuracy", hits, higher_is_better=True)
    return y, Metric("mse", squares, higher_is_better=False)
