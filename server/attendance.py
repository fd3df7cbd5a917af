"""Who is there: a device that went away is waited for a moment, it may only be reconnecting."""

import time

from server.transports.base import Transport

__all__ = ["QUIET", "Attendance"]

QUIET = 0.5
"""Seconds that devices may be missing before it is said that they are waited for."""


class Attendance:
    """Watches the presence of a fleet.

    Args:
        transport: the way to it.
        grace: seconds after which one that is away is gone.
    """

    def __init__(self, transport: Transport, grace: float) -> None:
        """Start with nobody known to be away."""
        self._transport, self._grace = transport, grace
        self._since: dict[str, float] = {}  # monotonic seconds

    def away(self) -> set[str]:
        """Devices that are not online, for however short a time."""
        now = time.monotonic()
        for name, online in self._transport.presence().items():
            if online:
                self._since.pop(name, None)
            else:
                self._since.setdefault(name, now)
        return set(self._since)

    def gone(self) -> set[str]:
        """Devices that have been away for longer than the grace."""
        now = time.monotonic()
        return {name for name in self.away() if now - self._since[name] >= self._grace}

    def ready(self, names: set[str], *, due: bool) -> list[str]:
        """Those of `names` to ask now, in order; none while a reconnecting one is waited for.

        Args:
            names: whoever may be asked.
            due: wait no longer.
        """
        waiting = names & (self.away() - self.gone())
        return [] if waiting and not due else sorted(names - self.away())
