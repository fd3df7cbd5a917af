"""Run the HTTP face until it is told to stop."""

import gc
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from socket import socket

from edge.errors import MissingExtra, TinyfleetError, UsageError
from ontology.catalog import Catalog

__all__ = ["Beside", "Serving", "serve"]

Beside = Callable[[Catalog], AbstractContextManager[object]]


@dataclass(frozen=True)
class Serving:
    """How a catalogue is served.

    Args:
        place: folder or endpoint of the catalogue.
        host: address to listen at.
        port: TCP port; 0: any that is free.
        read_only: read the folder that another process owns.
        token: who has it may write; None: nobody may.
        private: reading needs the token, too.
        workers: queries at once.
        deadline: seconds that a query may take.
        max_rows: rows that an answer may have.
        rate: requests a second of each client; 0: any number.
        names: further host names that it is called by, such as that of a proxy.
    """

    place: str
    host: str = "127.0.0.1"
    port: int = 8080
    read_only: bool = False
    token: str | None = None
    private: bool = False
    workers: int = 2
    deadline: float = 5.0
    max_rows: int = 10_000
    rate: float = 100.0
    names: tuple[str, ...] = ()


def serve(
    how: Serving, on_ready: Callable[[str], None] | None = None, beside: Beside | None = None
) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Args:
        how: the catalogue, the address and the limits.
        on_ready: called with the address once it answers.
        beside: entered with the catalogue while it is served, such as what a broker says into it.

    Raises:
        MissingExtra: the packages for HTTP are not installed.
        UsageError: a setting that cannot be.
        CatalogBusy: another process owns the folder.
        TinyfleetError: the address cannot be listened at.
    """
    _check(how)
    try:
        import uvicorn

        from ontology.http.app import make_app
        from ontology.http.desk import Desk, Opened
        from ontology.http.limits import Rate
        from ontology.http.pool import QueryPool
    except ImportError as error:
        raise MissingExtra(
            f"the HTTP face needs {error.name}, which is not installed.",
            hint="pip install 'tinyfleet[http]'",
        ) from None

    class Server(uvicorn.Server):
        """Says when it answers."""

        async def startup(self, sockets: "list[socket] | None" = None) -> None:
            await super().startup(sockets=sockets)
            if self.started and on_ready is not None:
                port = self.servers[0].sockets[0].getsockname()[1]
                on_ready(f"http://{how.host}:{port}")

    opened = Opened(how.place, read_only=how.read_only)
    pool = QueryPool(how.place, workers=how.workers, deadline=how.deadline, max_rows=how.max_rows)
    try:
        with pool, beside(opened.catalog) if beside else nullcontext():
            desk = Desk(opened, pool, token=how.token, private=how.private)
            app = make_app(
                desk, rate=Rate(how.rate, burst=max(1, int(2 * how.rate))), names=_names(how)
            )
            config = uvicorn.Config(
                app, how.host, how.port, log_level="warning", access_log=False, lifespan="on",
                limit_concurrency=512, timeout_keep_alive=10, timeout_graceful_shutdown=2,
                server_header=False,
            )  # fmt: skip
            _rest_collector()
            try:
                Server(config).run()
            except SystemExit:
                raise TinyfleetError(
                    f"{how.host}:{how.port} cannot be listened at.", hint="another --port"
                ) from None
    finally:
        opened.close()


def _names(how: Serving) -> frozenset[str]:
    """Any, where it listens to others; only its own and those given, where it does not."""
    own = {"localhost", "127.0.0.1", "::1"}
    return frozenset(own.union(how.names)) if how.host in own or how.names else frozenset()


def _rest_collector() -> None:
    """Look for cycles among what requests leave, rarely, and never in what was loaded at start."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def _check(how: Serving) -> None:
    if how.private and not how.token:
        raise UsageError("reading cannot need a token that is not set.", hint="--token-file FILE")
    if how.token is not None and len(how.token) < 16:
        raise UsageError(
            f"the token has {len(how.token)} characters, it needs 16 or more.",
            hint="openssl rand -hex 32",
        )
    if how.deadline <= 0:
        raise UsageError(f"the deadline is {how.deadline} seconds.", hint="--deadline 5")
