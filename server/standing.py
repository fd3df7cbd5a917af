"""How a model stands on unseen clients: client by client, and beside its baselines."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge import runtime
from edge.artifact import Artifact
from edge.budget import requirement
from edge.chain import UnsupportedOperator
from edge.errors import ArtifactError, TinyfleetError, UsageError
from edge.fronted import learner_of
from server.evaluate import (
    Adaptation,
    Estimate,
    each_client,
    estimate,
    from_scratch,
    worst_decile,
)
from server.pooled import STEPS, Pooled, pooled
from server.simulate import new_model
from server.tasks.base import Task

__all__ = ["Standing", "standing", "standing_on_data", "tail_of"]


@dataclass(frozen=True)
class Standing:
    """The metric of unseen clients, in all rows over the same episodes.

    Args:
        metric: its name.
        higher_is_better: whether more of it is better.
        pairs: float64 [clients, seeds, 2], before and after adapting; [clients, seeds, 1] of a
            model that cannot be trained.
        alone: fresh weights of the task's own net, trained on the support set only; None: the task
            has no net.
        pool: the task's own net trained on pooled data of training clients; None: left out.
        shots: support samples (of each class).
    """

    metric: str
    higher_is_better: bool
    pairs: NDArray[np.float64]
    alone: Estimate | None
    pool: Pooled | None
    shots: int

    @property
    def before(self) -> Estimate:
        """With the model as it is."""
        return estimate(self.pairs[:, :, 0])

    @property
    def after(self) -> Estimate:
        """With the model adapted to the support set."""
        return estimate(self.pairs[:, :, 1])

    def worst(self, column: int) -> float:
        """Mean of the worst tenth of the clients, before (0) or after (1) adapting."""
        return worst_decile(self.pairs[:, :, column], higher_is_better=self.higher_is_better)

    def rows(self) -> list[tuple[str, Estimate, float | None]]:
        """Name, estimate and worst decile (where known) of every row."""
        found = [("before", self.before, self.worst(0))]
        if self.pairs.shape[2] > 1:
            found.append(("after", self.after, self.worst(1)))
        beside: list[tuple[str, Estimate, float | None]] = []
        if self.alone is not None:
            beside.append(("alone", self.alone, None))
        if self.pool is not None:
            beside.append(("pooled", self.pool.before, None))
            beside.append(("pooled, adapted", self.pool.after, None))
        return [*found, *beside]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: a table for each row, and how it was measured."""
        found: dict[str, Any] = {"metric": self.metric}
        for name, value, worst in self.rows():
            # One client has no interval.
            kept = ("mean", "low", "high") if value.clients > 1 else ("mean",)
            entry = {key: each for key, each in asdict(value).items() if key in kept}
            found[name] = entry if worst is None else {**entry, "worst decile": worst}
        clients, seeds, _ = self.pairs.shape
        found |= {"clients": clients, "episodes of each": seeds, "shots": self.shots}
        if self.pool is not None:
            found["pooled steps"], found["pooled samples"] = self.pool.steps, self.pool.samples
        return found


def standing(
    task: Task,
    model: bytes,
    how: Adaptation,
    *,
    own: Adaptation | None = None,
    clients: int = 20,
    seeds: Sequence[int] = (0, 1, 2),
    pool_steps: int = STEPS,
) -> Standing:
    """Measure a model on unseen clients, not adapted and adapted, beside its baselines.

    Args:
        task: whose test clients.
        model: bytes of the `.tflite`.
        how: the model's adaptation.
        own: that of the baselines, which are the task's own net; None: the same.
        clients: how many test clients, at most those that there are.
        seeds: one episode a client for each.
        pool_steps: budget of pooled training; 0: leave it out.

    Raises:
        UsageError: the model does not take the task's samples.
    """
    _check_widths(task, model)
    own = own or how
    pairs = each_client(task, model, how, clients=clients, seeds=seeds)
    alone = from_scratch(task, new_model(task).data, own, clients=clients, seeds=seeds)
    pool = None
    if pool_steps:
        pool = pooled(task, own, clients=clients, seeds=seeds, steps=pool_steps)
    return Standing(task.metric, task.higher_is_better, pairs, alone, pool, how.shots)


def standing_on_data(
    task: Task, model: bytes, how: Adaptation, *, seeds: Sequence[int] = (0, 1, 2)
) -> Standing:
    """Measure a model of others on data of others: there is no net of ours to set beside it.

    Args:
        task: whose one test client.
        model: bytes of a `.tflite` or `.onnx`; one that the learner does not know runs in an
            installed runtime.
        how: the model's adaptation; not used where nothing of it can be trained.
        seeds: one episode for each.

    Raises:
        UsageError: the model does not take the samples.
        MissingExtra: it needs a runtime, and none is installed.
        ArtifactError: that runtime refuses it.
    """
    artifact = Artifact(model)
    tail = tail_of(artifact)
    trains = tail is not None and requirement(tail).parameters > 0
    how = how if trains else replace(how, shots=0)
    first = task.client(0, "test").episode(np.random.default_rng(0), shots=how.shots, queries=1)
    wide, n_in = first.query_x.shape[1], artifact.input.elements
    if wide != n_in:
        raise UsageError(
            f"the model takes {n_in} values, a sample has {wide}.", hint="samples of this model"
        )
    if trains:
        pairs = each_client(task, model, how, clients=1, seeds=seeds)
    else:
        outputs = _answers(model, first.query_x, known=tail is not None)
        pairs = np.array([[[task.measure(outputs, first.query_y)]]])
    return Standing(task.metric, task.higher_is_better, pairs, None, None, how.shots)


def tail_of(artifact: Artifact) -> Artifact | None:
    """What the learner runs of a file; None where that is nothing, as of a model of others.

    Raises:
        ArtifactError: the file is broken.
    """
    try:
        return artifact.tail
    except UnsupportedOperator:
        return None


def _answers(model: bytes, x: NDArray[np.float32], *, known: bool) -> NDArray[np.float32]:
    if known:
        return learner_of(model, infer_only=True).predict_many(x)
    try:
        return np.asarray(runtime.load(model).run(x), np.float32)
    except TinyfleetError:
        raise
    except Exception as error:  # each runtime has exception types of its own
        said = " ".join(str(error).split())[:200]
        raise ArtifactError(f"the runtime does not run the model: {said}") from error


def _check_widths(task: Task, model: bytes) -> None:
    artifact, own = Artifact(model), task.spec()
    n_in, n_out = artifact.input.elements, artifact.tail.spec.n_out
    fits = n_out >= own.n_out if task.ways > 1 else n_out == own.n_out
    if n_in != own.n_in or not fits:
        raise UsageError(
            f"the model is {n_in} to {n_out} wide, task {task.name} needs {own.n_in} to "
            f"{own.n_out}.",
            hint="a model of this task, or another --task",
        )
