"""The ASGI app: which address is answered by what."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from edge.errors import TinyfleetError
from ontology.http import listing, pages, sparql, things, wellknown
from ontology.http.desk import Desk, in_thread
from ontology.http.limits import Limits, Rate
from ontology.http.problems import HANDLERS

__all__ = ["make_app"]

_STATIC = Path(__file__).parent / "static"
_PURGE = 5.0  # seconds
_log = logging.getLogger("tinyfleet.catalog.http")


def make_app(
    desk: Desk, *, rate: Rate | None = None, names: frozenset[str] = frozenset()
) -> Starlette:
    """The app over an open catalogue and its processes, which stay the caller's to close.

    Args:
        desk: what the handlers share.
        rate: requests of each client; None: the default.
        names: that it may be called by; empty: any.
    """

    @asynccontextmanager
    async def living(app: Starlette) -> AsyncIterator[None]:
        if not desk.opened.read_only:
            desk.catalog.on_thing = desk.events.tell
        purging = asyncio.create_task(_purge(desk))
        try:
            yield
        finally:
            purging.cancel()
            with suppress(asyncio.CancelledError):
                await purging

    app = Starlette(
        routes=_routes(),
        middleware=[Middleware(Limits, rate=rate or Rate(), names=names)],
        exception_handlers=HANDLERS,
        lifespan=living,
    )
    app.state.desk = desk
    return app


def _routes() -> list[BaseRoute]:
    sparql_methods = ["GET", "POST"]
    return [
        Route("/sparql", sparql.endpoint, methods=sparql_methods),
        Route("/query", sparql.endpoint, methods=sparql_methods),
        Route("/update", sparql.endpoint, methods=["POST"]),
        Route("/queries", sparql.named_list),
        Route("/queries/{name}", sparql.named),
        Route("/.well-known/wot", wellknown.itself),
        Route("/things", listing.things, methods=["GET"]),
        Route("/things", things.create, methods=["POST"]),
        Route("/things/{thing:path}", things.retrieve, methods=["GET"]),
        Route("/things/{thing:path}", things.replace, methods=["PUT"]),
        Route("/things/{thing:path}", things.changed, methods=["PATCH"]),
        Route("/things/{thing:path}", things.removed, methods=["DELETE"]),
        Route("/search/sparql", sparql.search, methods=sparql_methods),
        Route("/search/jsonpath", listing.jsonpath),
        Route("/events", listing.events),
        Route("/events/{kind}", listing.events),
        Route("/", pages.fleet),
        Route("/devices/{thing:path}", pages.device),
        Route("/models", pages.models),
        Route("/models/{model}", pages.model),
        Route("/models/{model}/lineage.svg", pages.lineage),
        Route("/health", _health),
        Mount("/static", StaticFiles(directory=_STATIC), name="static"),
    ]


async def _health(request: Request) -> Response:
    return Response("ok\n", media_type="text/plain")


async def _purge(desk: Desk) -> None:
    """Forget what is past its expiry, now and then."""
    while not desk.opened.read_only:
        try:
            if count := await in_thread(things.purge, desk.catalog):
                _log.info("%d things have expired", count)
        except TinyfleetError as error:
            _log.warning("expired things stay for now: %s", error)
        await asyncio.sleep(_PURGE)
