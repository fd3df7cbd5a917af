"""Runs and sweeps side by side: what they reached, and what it took."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.errors import UsageError
from server.report.view import Curve, view_of
from server.run import JOURNAL

__all__ = ["Entry", "compared"]


@dataclass(frozen=True)
class Entry:
    """One line of a comparison.

    Args:
        figures: as `RunView.figures`; a sweep's have no rounds, bytes down or energy, and a run
            without unseen clients has nothing that they reach: it comes last.
        curve: (round, metric of unseen clients after adapting), where there is one.
    """

    figures: dict[str, Any]
    curve: Curve

    @property
    def metric(self) -> str:
        """Name of its metric."""
        return str(self.figures["metric"])


def compared(
    paths: Sequence[Path], *, clients: int = 20, seeds: Sequence[int] = (0, 1, 2)
) -> list[Entry]:
    """Gather runs, the best of a metric first.

    Args:
        paths: folders of runs, folders that hold such folders, or folders of sweeps.
        clients: unseen clients to measure runs on; a sweep's were measured when it ran.
        seeds: episodes of each.

    Raises:
        UsageError: a folder is none of these.
    """
    entries: list[Entry] = []
    for path in paths:
        if (path / "results.jsonl").is_file():
            entries += _of_sweep(path)
            continue
        for folder in _runs(path):
            view = view_of(folder, clients=clients, seeds=seeds)
            entries.append(Entry(view.figures(), view.learning("after")))
    return sorted(entries, key=_order)


def _order(entry: Entry) -> tuple[bool, str, float]:
    after = entry.figures["after"]
    value = 0.0 if after is None else float(after)
    return after is None, entry.metric, value if entry.metric == "mse" else -value


def _runs(path: Path) -> list[Path]:
    """The run folders that a path stands for, each once."""
    if (path / JOURNAL).is_file():
        return [path]
    found = sorted(path.glob(f"*/{JOURNAL}")) if path.is_dir() else []
    if not found:
        raise UsageError(f"there is no run or sweep in {path}.", hint="runs/latest, or ls runs")
    return list(dict.fromkeys(entry.parent.resolve() for entry in found))


def _of_sweep(path: Path) -> list[Entry]:
    entries = []
    for line in (path / "results.jsonl").read_text(encoding="utf-8").splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue  # cut by a crash; the sweep runs it again
        settings = found["settings"]
        name = ", ".join(f"{key}={value}" for key, value in settings.items())
        figures = {
            "run": f"{path.name}: {name}",
            "task": settings.get("task"),
            "strategy": settings.get("strategy"),
            "status": "done",
            **{key: found[key] for key in ("metric", "before", "after", "low", "high")},
            "rounds": settings.get("rounds"),
            "updates": found["updates"],
            "bytes up": found["bytes up"],
            "bytes down": None,
            "training J": None,
            "model": found["model"],
        }
        entries.append(Entry(figures, []))
    return entries
