"""When what a device learns is written down: every few seconds, and before it is acknowledged."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from edge.errors import UsageError

if TYPE_CHECKING:
    from edge.learnt import Learnt, LearntFiles

__all__ = ["KEEP_EVERY", "Keeper"]

KEEP_EVERY = 5.0
"""Seconds of learning that a crash may lose. More often wears out the flash of an SD card."""

_PATIENCE, _RETRY = 5.0, 1.0
_log = logging.getLogger("tinyfleet.state")


class Keeper:
    """Writes a learner down; a disk that refuses is warned of, and learning goes on.

    Steps are written as they come, and by a thread where none comes any more: a sensor may pause
    for hours.

    Args:
        files: where to; None: nowhere.
        take: gives the learner as it is, and the artefact that it was made from.
        every: seconds of learning between two; 0: after each step.

    Attributes:
        lock: who changes the learner holds it, but not while waiting for a sample.
        made: steps since the learner's weights were given.

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
        self.lock = threading.Lock()
        self.made = 0
        self._files, self._take, self._every = files, take, every
        self._since = time.monotonic()
        self._unwritten, self._refused = False, False
        self._due, self._closed = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, made: int = 0) -> None:
        """Other weights were given, on which so many steps have been made."""
        self.made, self._unwritten = made, False

    def stepped(self) -> None:
        """A step was made: write it down if it is time."""
        self.made += 1
        if time.monotonic() - self._since >= self._every:
            self.keep()
        elif not self._unwritten and self._files is not None:
            self._owe()

    def keep(self) -> None:
        """Write it down now; it is on the disk when this returns."""
        if self._files is None:
            return
        try:
            self._files.save(*self._take())
            self._unwritten = self._refused = False
        except Exception as error:  # a full disk, or a learner that cannot be written down
            if not self._refused:
                _log.warning("what was learnt cannot be kept: %s. A restart will lose it.", error)
            self._refused = True
            self._owe()
        self._since = time.monotonic()

    def close(self) -> None:
        """Write down what is not yet; nothing is written by itself any more."""
        self._closed.set()
        self._due.set()
        if self.lock.acquire(timeout=_PATIENCE):
            try:
                self._keep_rest()
            finally:
                self.lock.release()

    def found(self, running: str | None) -> "Iterator[tuple[Learnt, bytes]]":
        """What was kept while an artefact was active, the newest first; see `LearntFiles`."""
        if self._files is not None:
            yield from self._files.found(running)

    def _owe(self) -> None:
        """Something is unwritten: have the thread look after it."""
        self._unwritten = True
        self._due.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._keep_in_time, name="keeper", daemon=True)
            self._thread.start()

    def _keep_in_time(self) -> None:
        while not self._closed.is_set():
            self._due.wait()
            pause = max(self._every, _RETRY) if self._refused else self._every
            left = self._since + pause - time.monotonic()
            if left > 0:
                self._closed.wait(min(left, threading.TIMEOUT_MAX))
                continue
            with self.lock:
                self._due.clear()
                if not self._closed.is_set():
                    self._keep_rest()

    def _keep_rest(self) -> None:
        if self._unwritten:
            self.keep()
