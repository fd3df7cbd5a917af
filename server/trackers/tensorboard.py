"""TensorBoard: scalars as event files in a folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.errors import MissingExtra, UsageError

__all__ = ["TensorboardTracker"]


class TensorboardTracker:
    """See `Tracker`; params and the names of artefacts become texts.

    Args:
        folder: made if absent; the run gets a folder of its own in it.
        run: its name.

    Raises:
        MissingExtra: tensorboardX is not installed.
        UsageError: the folder cannot be written to.
    """

    def __init__(self, folder: str, run: str) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise MissingExtra(
                "tensorboardX is not installed.", hint="pip install tinyfleet[tensorboard]"
            ) from error
        try:
            self._writer = SummaryWriter(str(Path(folder) / run))
        except OSError as error:
            raise UsageError(f"cannot write to {folder}: {error.strerror}.") from error

    def params(self, values: Mapping[str, Any]) -> None:
        """See `Tracker`."""
        text = json.dumps(dict(values), indent=2, default=str)
        self._writer.add_text("params", "".join(f"    {line}\n" for line in text.splitlines()))

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """See `Tracker`."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def artefact(self, path: Path) -> None:
        """See `Tracker`."""
        self._writer.add_text("artefact", str(path.resolve()))

    def close(self) -> None:
        """See `Tracker`."""
        self._writer.close()
