"""When what a device learns is written down: every few seconds, and before it is acknowledged."""

import logging
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from edge.errors import UsageError

if TYPE_CHECKING:
    from edge.learnt import Learnt, LearntFiles

__all__ = ["KEEP_EVERY", "Keeper"]

KEEP_EVERY = 5.0
"""Seconds of learning that a crash may lose. More often wears out the flash of an SD card."""

_log = logging.getLogger("tinyfleet.state")


class Keeper:
    """Writes a learner down; a disk that refuses is warned of, and learning goes on.

    Args:
        files: where to; None: nowhere.
        take: gives the learner as it is, and the artefact that it was made from.
        every: seconds of learning between two; 0: after each step.

    Raises:
        UsageError: `every` is negative or NaN.
    """

    def __init__(
        self,
        files: "LearntFiles | None",
        take: "Callable[[], tuple[Learnt, bytes]]",
        every: float = KEEP_EVERY,
    ) -> None:
        """Write nothing yet."""
        if not every >= 0:
            raise UsageError(f"{every} s between two checkpoints came, 0 or more is needed.")
        self._files, self._take, self._every = files, take, every
        self._since = time.monotonic()

    def stepped(self) -> None:
        """A step was made: write it down if it is time."""
        if time.monotonic() - self._since >= self._every:
            self.keep()

    def keep(self) -> None:
        """Write it down now; it is on the disk when this returns."""
        if self._files is None:
            return
        try:
            self._files.save(*self._take())
        except OSError as error:
            _log.warning("what was learnt cannot be kept: %s. A restart will lose it.", error)
        self._since = time.monotonic()

    def found(self, running: str | None) -> "Iterator[tuple[Learnt, bytes]]":
        """What was kept while an artefact was active, the newest first; see `LearntFiles`."""
        if self._files is not None:
            yield from self._files.found(running)
