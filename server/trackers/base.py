"""What a tracker is, and several of them as one."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

__all__ = ["Tracker", "Trackers", "flat"]

_log = logging.getLogger("tinyfleet.trackers")


class Tracker(Protocol):
    """Where the course of a run is kept beside its journal."""

    def params(self, values: Mapping[str, Any]) -> None:
        """What was configured, once, at the start."""

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """What a round came to.

        Args:
            values: by name.
            step: number of the round.
        """

    def artefact(self, path: Path) -> None:
        """A file that came of it, such as the model."""

    def close(self) -> None:
        """Nothing more comes."""


class Trackers:
    """Several trackers that are told the same; a context manager. One that fails is given up.

    Args:
        each: of them.
    """

    def __init__(self, each: Sequence[Tracker]) -> None:
        self.each = list(each)

    def params(self, values: Mapping[str, Any]) -> None:
        """See `Tracker`; tables become names such as strategy_options.rate."""
        self._tell(lambda tracker: tracker.params(flat(values)))

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """See `Tracker`."""
        self._tell(lambda tracker: tracker.metrics(values, step))

    def artefact(self, path: Path) -> None:
        """See `Tracker`."""
        self._tell(lambda tracker: tracker.artefact(path))

    def close(self) -> None:
        """See `Tracker`."""
        self._tell(lambda tracker: tracker.close())

    def _tell(self, say: Callable[[Tracker], None]) -> None:
        # A run is worth more than its log: a tracker that fails is told nothing more.
        for tracker in tuple(self.each):
            try:
                say(tracker)
            except Exception as error:
                self.each.remove(tracker)
                _log.warning("%s is given up: %s", type(tracker).__name__, error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Tables in tables as one.

    >>> flat({"task": "sine", "settings": {"rounds": 3, "of": {"seed": 1}}})
    {'task': 'sine', 'settings.rounds': 3, 'settings.of.seed': 1}
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{above}{name}.")
        else:
            found[f"{above}{name}"] = value
    return found
