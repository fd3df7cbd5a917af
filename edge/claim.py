"""A folder that one process has to itself: the lock ends with the process, however that ends."""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from edge.atomic import set_aside
from edge.errors import UsageError

__all__ = ["LOCK", "claimed"]

LOCK = "lock"
"""The file that is locked; it holds the number of the process."""

_log = logging.getLogger("tinyfleet.state")
_held: set[int] = set()


def _let_go() -> None:
    """In a child that a sensor forked: only the agent itself has the folder."""
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_let_go)


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Have a folder to ourselves while the body runs.

    Where a folder cannot be locked (a disk that is read-only), that is warned of.

    Args:
        folder: made if it is not there.

    Raises:
        UsageError: it cannot be made, or another process has it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"no folder can be made at {str(folder)!r}: {error}.") from error
    path = folder / LOCK
    if os.path.lexists(path) and (path.is_symlink() or not path.is_file()):
        set_aside(path)
    with ExitStack() as opened:
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
            _held.add(file)
            opened.callback(_release, file)
            _lock(file, folder)
        except OSError as error:
            _log.warning("%s cannot be locked: %s. No other agent may use it.", folder, error)
        yield


def _release(file: int) -> None:
    if file in _held:
        _held.remove(file)
        os.close(file)


def _lock(file: int, folder: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError:
        holder = os.pread(file, 20, 0).decode("ascii", "replace").strip()
        who = f"process {holder}" if holder.isdigit() else "another process"
        raise UsageError(
            f"the folder {str(folder)!r} is in use by {who}.",
            hint="end that agent, or give this one a folder of its own: --state",
        ) from None
