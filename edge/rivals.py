"""Notice that another client has our name at the broker: both are thrown out again and again."""

import time

__all__ = ["Rivals"]

_TAKEN_OVER = 142
_SHORT = 5.0
_QUIET = 60.0


class Rivals:
    """Goes by why a connection ended, and how soon after it was made.

    MQTT 5 says why. A broker of 3.1.1 only closes the connection: twice in a row, a few seconds
    after it was made, is taken for the same.
    """

    def __init__(self) -> None:
        """Start without a connection."""
        self._since = 0.0
        self._told: float | None = None
        self._short = 0

    def connected(self) -> None:
        """A connection was made."""
        self._since = time.monotonic()

    def lost(self, code: int) -> bool:
        """A connection ended; gives whether that is to be told, which is once a minute.

        Args:
            code: the reason code of the end.
        """
        now = time.monotonic()
        self._short = self._short + 1 if now - self._since < _SHORT else 0
        if code != _TAKEN_OVER and self._short < 2:
            return False
        if self._told is not None and now - self._told < _QUIET:
            return False
        self._told = now
        return True
