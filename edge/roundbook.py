"""Which rounds are open and answered: what makes taking an offer idempotent."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import replace
from typing import Generic, TypeVar

from edge.messages import Offer, Update

__all__ = ["Kept", "RoundBook"]

Key = TypeVar("Key", bound=Hashable)


class Kept(Generic[Key]):
    """The last so many answers, as the bytes that were sent.

    Args:
        limit: how many are kept.
    """

    def __init__(self, limit: int) -> None:
        """Keep nothing yet."""
        self._limit = limit
        self._found: OrderedDict[Key, bytes] = OrderedDict()

    def get(self, key: Key) -> bytes | None:
        """The bytes sent for a key, if they are still kept."""
        return self._found.get(key)

    def put(self, key: Key, data: bytes) -> None:
        """Keep bytes, and forget the oldest beyond the limit."""
        self._found[key] = data
        self._found.move_to_end(key)
        while len(self._found) > self._limit:
            self._found.popitem(last=False)


class RoundBook:
    """Rounds of one device, by run; safe to use from several threads."""

    def __init__(self) -> None:
        """Start with no round open."""
        self._lock = threading.Lock()
        self._open: dict[str, Offer] = {}
        self._answers: Kept[tuple[str, int, int, str]] = Kept(16)

    def answer(self, offer: Offer) -> bytes | None:
        """The update that was sent for this run, round, turn and base, if there was one.

        The same bytes, unless the offer has a new correlation id (a coordinator that resumed):
        then what was learnt, under that id.
        """
        with self._lock:
            sent = self._answers.get(_key(offer))
            if sent is None:
                return None
            update = Update.decode(sent)
            if update.id == offer.id:
                return sent
            again = replace(update, id=offer.id).encode()
            self._answers.put(_key(offer), again)
            return again

    def open(self, offer: Offer) -> bool:
        """Make this the open round of its run; False if it is not newer than the open one."""
        with self._lock:
            current = self._open.get(offer.run)
            if current is not None and (offer.round, offer.turn) <= (current.round, current.turn):
                return False
            self._open[offer.run] = offer
            return True

    def wanted(self, offer: Offer) -> bool:
        """Whether this very offer is still the open round of its run."""
        with self._lock:
            return self._open.get(offer.run) is offer

    def finish(self, offer: Offer, update: bytes) -> bool:
        """Note the update of a round; False if it no longer counts."""
        with self._lock:
            if not self._counts(offer):
                return False
            self._answers.put(_key(offer), update)
            return True

    def _counts(self, offer: Offer) -> bool:
        current, late = self._open.get(offer.run), offer.plan.max_staleness
        if current is None:
            return late > 0  # one round is closed, the next is not yet offered
        return current is offer or 0 < current.round - offer.round <= late

    def give_up(self, offer: Offer) -> bool:
        """Forget an open round, so that a repeated offer is tried afresh."""
        with self._lock:
            if self._open.get(offer.run) is not offer:
                return False
            del self._open[offer.run]
            return True

    def close(self, run: str) -> None:
        """Forget the open round of a run: its offer was taken back."""
        with self._lock:
            self._open.pop(run, None)


def _key(offer: Offer) -> tuple[str, int, int, str]:
    return offer.run, offer.round, offer.turn, offer.base
