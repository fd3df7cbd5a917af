"""What each device of the in-process fleet works on, and what waits for it."""

from collections import OrderedDict
from dataclasses import dataclass

__all__ = ["Job", "Jobs"]


@dataclass(frozen=True)
class Job:
    """One offer to one device.

    Args:
        run: the run it belongs to.
        payload: the offer's bytes.
        lasting: whether its answer still counts once the round is over.
    """

    run: str
    payload: bytes
    lasting: bool


class Jobs:
    """A job in hand for each device, in the order they end, and the newest that waits behind it."""

    def __init__(self) -> None:
        """Start with nothing to do."""
        self._hand: OrderedDict[str, Job] = OrderedDict()
        self._next: dict[str, Job] = {}

    def give(self, device: str, job: Job) -> None:
        """Let a device begin, or go on with this when it has done what it has in hand."""
        waits = device in self._hand
        (self._next if waits else self._hand)[device] = job

    def take(self) -> tuple[str, Job] | None:
        """The job that ends next, with its device, which takes up what waits for it."""
        if not self._hand:
            return None
        device, job = self._hand.popitem(last=False)
        if device in self._next:
            self._hand[device] = self._next.pop(device)
        return device, job

    def drop(self, device: str) -> None:
        """A device went away, and with it what it was doing."""
        self._hand.pop(device, None)
        self._next.pop(device, None)

    def close(self, run: str) -> None:
        """A round is over: only what is in hand and lasting goes on."""
        self._next = {name: job for name, job in self._next.items() if job.run != run}
        for name in [name for name, job in self._hand.items() if job.run == run]:
            if not self._hand[name].lasting:
                del self._hand[name]
