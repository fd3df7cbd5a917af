"""Lines of a pipe, read so that a program can end while a thread waits for the next one."""

import io
import select
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
            chunk = self._raw.read(_CHUNK)
            if chunk is None:  # it does not wait by itself
                select.select([self._raw], [], [])
                continue
            if not chunk:
                left, self._left = b"".join(self._left), []
                return left
            *whole, last = chunk.split(b"\n")
            if whole:
                whole[0] = b"".join([*self._left, whole[0]])
                self._whole.extend(line + b"\n" for line in whole)
                self._left.clear()
            self._left.append(last)
        return self._whole.popleft()
