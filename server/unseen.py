"""Measure a model on clients that took no part, with the task's usual adaptation."""

from edge.artifact import Artifact
from server.evaluate import Adaptation, Evaluation, evaluate
from server.presets import ADAPTATION
from server.tasks import Task

__all__ = ["evaluate_unseen", "measure_unseen", "spelt_out"]

CLIENTS = 10


def evaluate_unseen(task: Task, model: Artifact, *, seeds: int = 3) -> Evaluation:
    """Evaluate on the first ten test clients, some episodes each; see `Evaluation`."""
    how = Adaptation(**ADAPTATION[task.name])
    return evaluate(task, model.data, how, clients=CLIENTS, seeds=range(seeds))


def measure_unseen(task: Task, model: Artifact) -> dict[str, float]:
    """The means of `evaluate_unseen` by name, such as accuracy_after."""
    found = evaluate_unseen(task, model)
    return {
        f"{found.metric}_before": found.before.mean,
        f"{found.metric}_after": found.after.mean,
        f"{found.metric}_scratch": found.scratch.mean,
        f"{found.metric}_scratch_longer": found.scratch_more.mean,
    }


def spelt_out(name: str, metric: str) -> str:
    """A figure's name for people: mse_before is "mse not adapted"; other names stay."""
    words = {
        f"{metric}_before": f"{metric} not adapted",
        f"{metric}_after": f"{metric} adapted",
        f"{metric}_scratch": f"{metric} from scratch",
        f"{metric}_scratch_longer": f"{metric} from scratch, 10x longer",
    }
    return words.get(name, name)
