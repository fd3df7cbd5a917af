"""Trackers: what a run is told to MLflow or TensorBoard while it goes on, one file each."""

from edge.errors import UsageError
from server.trackers.base import Tracker, Trackers

__all__ = ["TRACKERS", "Tracker", "Trackers", "open_tracker", "open_trackers"]

TRACKERS = ("mlflow", "tensorboard")


def open_tracker(target: str, run: str) -> Tracker:
    """Open one tracker.

    Args:
        target: `mlflow:URI` or `tensorboard:FOLDER`.
        run: name of the run.

    Raises:
        UsageError: another kind, or it leads nowhere.
        MissingExtra: its package is not installed.
    """
    kind, colon, where = target.partition(":")
    if not colon or not where or kind not in TRACKERS:
        raise UsageError(f"--log {target} is no tracker.", hint="mlflow:URI or tensorboard:FOLDER")
    if kind == "mlflow":
        from server.trackers.mlflow import MlflowTracker

        return MlflowTracker(where, run)
    from server.trackers.tensorboard import TensorboardTracker

    return TensorboardTracker(where, run)


def open_trackers(targets: list[str] | None, run: str) -> Trackers:
    """Open all of them, as one; none is as good as one."""
    opened: list[Tracker] = []
    try:
        for target in targets or []:
            opened.append(open_tracker(target, run))
    except BaseException:
        Trackers(opened).close()
        raise
    return Trackers(opened)
