"""Many experiments that differ in some settings, measured on unseen clients, kept as they end."""

import hashlib
import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge.errors import UsageError
from server.experiment import Experiment
from server.unseen import evaluate_unseen

__all__ = ["Sweep", "points"]


def points(
    axes: Mapping[str, Sequence[Any]], *, samples: int | None = None, seed: int = 0
) -> list[dict[str, Any]]:
    """Settings of a grid, or some of its points.

    Args:
        axes: values of each setting.
        samples: how many points are drawn, without repetition; None: all.
        seed: of the draw.

    >>> points({"rate": [1, 2], "epochs": [8]})
    [{'rate': 1, 'epochs': 8}, {'rate': 2, 'epochs': 8}]
    """
    grid = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    if samples is None or samples >= len(grid):
        return grid
    chosen = np.random.default_rng(seed).choice(len(grid), samples, replace=False)
    return [grid[index] for index in sorted(chosen)]


class Sweep:
    """A folder of results, one JSON line for each experiment that has ended.

    A sweep that was stopped goes on: what is in the folder is not run again.

    Args:
        folder: made if absent; `results.jsonl` and a model for each experiment.
        common: settings of every experiment.

    Raises:
        UsageError: the folder cannot be written to.
    """

    def __init__(self, folder: Path, common: Mapping[str, Any]) -> None:
        self.path, self.folder, self.common = folder / "results.jsonl", folder, dict(common)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot write to {folder}: {error.strerror}.") from error

    def results(self) -> list[dict[str, Any]]:
        """What has ended, in that order; a line cut by a crash is left out."""
        found = []
        if self.path.is_file():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                try:
                    found.append(json.loads(line))
                except ValueError:
                    continue
        return found

    def run(self, settings: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Run what has not ended yet; gives every result, old and new, in the order asked.

        Raises:
            UsageError: a setting is unknown; nothing is run then.
        """
        experiments = [Experiment.of({**self.common, **entry}) for entry in settings]
        for experiment in experiments:
            experiment.make_strategy()
        ended = {result["id"]: result for result in self.results()}
        for experiment, varied in zip(experiments, settings, strict=True):
            key = _key({**self.common, **varied})
            if key not in ended:
                ended[key] = {
                    "id": key,
                    "settings": dict(varied),
                    **self._measured(experiment, key),
                }
                self._append(ended[key])
            yield ended[key]

    def _measured(self, experiment: Experiment, key: str) -> dict[str, Any]:
        outcome = experiment.run()
        (self.folder / f"{key}.tflite").write_bytes(outcome.artifact.data)
        found = evaluate_unseen(experiment.make_task(), outcome.artifact)
        return {
            "metric": found.metric,
            "before": found.before.mean,
            "after": found.after.mean,
            "low": found.after.low,
            "high": found.after.high,
            "updates": outcome.updates,
            "bytes up": outcome.bytes_up,
            "seconds": round(outcome.seconds, 3),
            "model": outcome.artifact.sha256,
        }

    def _append(self, result: Mapping[str, Any]) -> None:
        whole = not self.path.is_file() or self.path.read_bytes()[-1:] in (b"", b"\n")
        with self.path.open("a", encoding="utf-8") as file:
            file.write("" if whole else "\n")
            file.write(json.dumps(result) + "\n")
            file.flush()
            os.fsync(file.fileno())


def _key(settings: Mapping[str, Any]) -> str:
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
