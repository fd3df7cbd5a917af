"""What every request is held to, before any handler sees it: bytes, time and rate."""

import time
from collections import OrderedDict
from collections.abc import Callable
from urllib.parse import urlsplit

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ontology.http.problems import problem

__all__ = ["MAX_BODY", "Limits", "Rate"]

MAX_BODY = 4 << 20
"""Bytes of a body."""
_BODY_SECONDS = 15.0
_CLIENTS = 10_000
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
}


class Rate:
    """A bucket of tokens for each client: so many requests a second, and a burst at first.

    Args:
        per_second: tokens that come in a second; 0: no limit.
        burst: tokens that a bucket holds.
        clock: seconds.
    """

    def __init__(
        self,
        per_second: float = 100.0,
        burst: int = 200,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate, self._burst, self._clock = per_second, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str) -> float:
        """Take a token: 0, or the seconds until there is one."""
        if not self._rate:
            return 0.0
        now = self._clock()
        left, then = self._buckets.pop(client, (float(self._burst), now))
        left = min(self._burst, left + (now - then) * self._rate)
        taken = left >= 1
        self._buckets[client] = (left - taken, now)
        if len(self._buckets) > _CLIENTS:
            self._buckets.popitem(last=False)
        return 0.0 if taken else (1 - left) / self._rate


class Limits:
    """ASGI middleware: refuses who asks too often, and what is too long or too slow.

    Args:
        app: what comes after.
        rate: requests of each client.
        max_body: bytes of a body.
        names: host names that this server may be called by, so that a page of another site cannot
            read it under that site's name (DNS rebinding); empty: any.
    """

    def __init__(
        self,
        app: ASGIApp,
        rate: Rate,
        max_body: int = MAX_BODY,
        names: frozenset[str] = frozenset(),
    ) -> None:
        self._app, self._rate, self._max, self._names = app, rate, max_body, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = self._refusal(scope)
        if answer is not None:
            await answer(scope, receive, _with_headers(send))
            return
        body = await self._body(receive) if _has_body(scope) else b""
        if isinstance(body, bytes):
            await self._app(scope, _replayed(body, receive), _with_headers(send))
        else:
            await body(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        client = scope.get("client") or ("",)
        if seconds := self._rate.wait(client[0]):
            after = {"Retry-After": str(int(seconds) + 1)}
            return problem(429, "Too many requests", f"Try again in {seconds:.1f} s.", after)
        headers = Headers(scope=scope)
        name = urlsplit(f"//{headers.get('host', '')}").hostname or ""
        if self._names and name not in self._names:
            return problem(421, "Not a name of this server", f"It was called {name!r}.")
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self._max:
            return self._too_long()
        return None

    def _too_long(self) -> ASGIApp:
        return problem(413, "The body is too long", f"It may have {self._max} bytes.")

    async def _body(self, receive: Receive) -> bytes | ASGIApp:
        parts, size = [], 0
        with anyio.move_on_after(_BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return b""
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > self._max:
                    return self._too_long()
                if not message.get("more_body"):
                    return b"".join(parts)
        return problem(408, "The body came too slowly", f"It may take {_BODY_SECONDS:g} s.")


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body in one message; then what comes after it."""
    waiting = [body]

    async def once() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return once


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sent
