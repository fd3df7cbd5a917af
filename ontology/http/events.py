"""What happens to things, told to who listens (WoT Discovery, Notification API), as SSE."""

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from ontology.http.mergepatch import difference
from ontology.terms import Iri

__all__ = ["KINDS", "Event", "Events"]

KINDS = ("thing_created", "thing_updated", "thing_deleted")
HISTORY, LISTENERS, WAITING = 10_000, 200, 1_000
_ALIVE = 15.0  # seconds


@dataclass(frozen=True)
class Event:
    """One thing came, changed or went.

    Args:
        id: later events have others.
        kind: one of `KINDS`.
        plain: data for everybody: the thing's id.
        full: data for who asks with `diff=true`.
    """

    id: str
    kind: str
    plain: str
    full: str

    def sent(self, diff: bool) -> str:
        """As Server-Sent Events write it."""
        data = self.full if diff else self.plain
        return f"id: {self.id}\nevent: {self.kind}\ndata: {data}\n\n"


class Events:
    """The latest events, and who listens. Events may come from any thread."""

    def __init__(self) -> None:
        self._boot = f"{time.time_ns():x}"
        self._past: deque[Event] = deque(maxlen=HISTORY)
        self._count = 0
        self._listeners: set[tuple[asyncio.AbstractEventLoop, asyncio.Queue[Event]]] = set()

    def full(self) -> bool:
        """Whether no more may listen."""
        return len(self._listeners) >= LISTENERS

    def tell(self, thing: Iri, before: dict[str, Any] | None, after: dict[str, Any] | None) -> None:
        """Note that a thing has another description now; a `Catalog.on_thing`."""
        if before == after:
            return
        kind = KINDS[0 if before is None else 2 if after is None else 1]
        plain = {"id": str(thing)}
        full: dict[str, Any] = plain
        if after is not None:
            full = after if before is None else difference(before, after) | plain
        self._count += 1
        event = Event(f"{self._boot}-{self._count}", kind, json.dumps(plain), json.dumps(full))
        self._past.append(event)
        for loop, waiting in list(self._listeners):
            try:
                loop.call_soon_threadsafe(_offer, waiting, event)
            except RuntimeError:  # its loop has closed
                self._listeners.discard((loop, waiting))

    def since(self, last: str) -> list[Event]:
        """What followed an event; everything known where that is forgotten or of another start."""
        past = list(self._past)
        for index, event in enumerate(past):
            if event.id == last:
                return past[index + 1 :]
        return past

    async def listen(self, kind: str | None, *, diff: bool, last: str | None) -> AsyncIterator[str]:
        """Server-Sent Events from now on, or from after the event that was the last one seen."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Queue[Event] = asyncio.Queue(WAITING)
        self._listeners.add((loop, waiting))
        try:
            yield ": listening\n\n"
            missed = self.since(last) if last is not None else []
            for event in missed:
                if kind in (None, event.kind):
                    yield event.sent(diff)
            told = {event.id for event in missed}
            while (
                not waiting.full()
            ):  # who is too slow is let go, and asks again for what it missed
                try:
                    event = await asyncio.wait_for(waiting.get(), _ALIVE)
                except TimeoutError:
                    yield ": alive\n\n"
                    continue
                if kind in (None, event.kind) and event.id not in told:
                    yield event.sent(diff)
        finally:
            self._listeners.discard((loop, waiting))


def _offer(waiting: "asyncio.Queue[Event]", event: Event) -> None:
    if not waiting.full():
        waiting.put_nowait(event)
