"""Lines of a pipe, read so that a program can end while a thread waits for the next one."""

import io
import os
import select
import stat
from collections import deque

__all__ = ["RawLines"]

_CHUNK = 65536


class RawLines:
    """Lines of an unbuffered file.

    Python's buffered files hold a lock while they wait, and end the process with SIGABRT if it
    ends then.

    Args:
        raw: the file.
    """

    def __init__(self, raw: io.RawIOBase) -> None:
        """Read nothing yet."""
        self._raw = raw
        self._whole: deque[bytes] = deque()
        self._left: list[bytes] = []

    def readline(self) -> bytes:
        """The next line, with its end; the last may have none; nothing where there are no more."""
        while not self._whole:
            if not self._fill():
                left, self._left = b"".join(self._left), []
                return left
        return self._whole.popleft()

    @property
    def ended(self) -> bool:
        """Whether it is known, without waiting, that there are no more lines.

        Of a pipe nothing is read for it, and nothing of a terminal: a process in the background
        would be stopped.
        """
        if self._whole or any(self._left):
            return False
        try:
            file, terminal = self._raw.fileno(), self._raw.isatty()
            pipe = stat.S_ISFIFO(os.fstat(file).st_mode)
        except (OSError, ValueError):
            return False
        poll = select.poll()
        poll.register(file, select.POLLIN)
        found = dict(poll.poll(0)).get(file, 0)
        if found & select.POLLIN:
            return not (pipe or terminal or self._fill())
        return bool(found & select.POLLHUP)

    def _fill(self) -> bool:
        """Read what there is, waiting for it; gives whether there was any."""
        while (chunk := self._raw.read(_CHUNK)) is None:  # it does not wait by itself
            select.select([self._raw], [], [])
        if not chunk:
            return False
        *whole, last = chunk.split(b"\n")
        if whole:
            whole[0] = b"".join([*self._left, whole[0]])
            self._whole.extend(line + b"\n" for line in whole)
            self._left.clear()
        self._left.append(last)
        return True
