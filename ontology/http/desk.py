"""What the handlers share: the catalogue, processes for queries, events, and who may write."""

import hmac
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import anyio.to_thread
from starlette.requests import Request

from ontology.catalog import Catalog
from ontology.http.events import Events
from ontology.http.pool import QueryPool
from ontology.http.problems import Refusal

__all__ = ["Desk", "Opened", "desk_of"]

T = TypeVar("T")
_FRESH = 1.0  # seconds that a snapshot of another process's catalogue is read


class Opened:
    """The catalogue that is served: owned, or looked at again each second where another owns it.

    Args:
        place: folder or endpoint.
        read_only: another process owns the folder.
    """

    def __init__(self, place: str, *, read_only: bool = False) -> None:
        self.place, self.read_only = place, read_only
        self._lock = threading.Lock()
        self._opened = Catalog.open(place, read_only=read_only)
        self._since = time.monotonic()
        self._looks = 0

    @property
    def catalog(self) -> Catalog:
        """The catalogue as it is now."""
        if self.read_only:
            with self._lock:
                if time.monotonic() - self._since > _FRESH:
                    self._opened = Catalog.open(self.place, read_only=True)
                    self._since = time.monotonic()
                    self._looks += 1
        return self._opened

    @property
    def version(self) -> int:
        """Another after every change."""
        store = self.catalog.store
        store.settle()
        return store.version + self._looks

    def close(self) -> None:
        """Let another process own it."""
        self._opened.close()


@dataclass
class Desk:
    """What the handlers share.

    Args:
        opened: the catalogue.
        pool: processes for queries.
        token: who has it may write; None: nobody may.
        private: reading needs the token, too.
        events: what happened to things.
        started: seconds since 1970; in entity tags, so that none outlives the process.
    """

    opened: Opened
    pool: QueryPool
    token: str | None = None
    private: bool = False
    events: Events = field(default_factory=Events)
    started: float = field(default_factory=time.time)

    @property
    def catalog(self) -> Catalog:
        """The catalogue as it is now."""
        return self.opened.catalog

    def etag(self) -> str:
        """Of everything: another after every change."""
        return f'"{self.started:.3f}-{self.opened.version}"'

    def may_write(self, request: Request) -> None:
        """Let who has the token pass.

        Raises:
            Refusal: 401 without the token, 403 where nothing can be written.
        """
        if self.opened.read_only or self.token is None:
            why = (
                "another process owns the catalogue" if self.opened.read_only else "no token is set"
            )
            raise Refusal(403, "This server only reads", f"It only reads: {why}.")
        self._known(request)

    def may_read(self, request: Request) -> None:
        """Let everybody pass, or who has the token where reading is private."""
        if self.private:
            self._known(request)

    def _known(self, request: Request) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        known = hmac.compare_digest(given.strip().encode(), (self.token or "").encode())
        if scheme.lower() != "bearer" or not known or not self.token:
            raise Refusal(
                401,
                "A token is needed",
                "Send it as `Authorization: Bearer TOKEN`.",
                headers={"WWW-Authenticate": 'Bearer realm="tinyfleet catalogue"'},
            )


def desk_of(request: Request) -> Desk:
    """The desk of the app that a request came to."""
    found: Desk = request.app.state.desk
    return found


def now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)


async def in_thread(call: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """Do what waits for the disk or a process without holding up other requests."""
    return await anyio.to_thread.run_sync(
        partial(call, *arguments, **named), abandon_on_cancel=True
    )
