"""`tinyfleet catalog serve`: the catalogue over HTTP."""

import os
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from edge.errors import UsageError
from server.cli.access import ANONYMOUS, Access, with_access
from server.cli.catalog_folder import existing, located
from server.cli.options import (
    DEFAULT_CATALOG,
    CatalogPath,
    Site,
)

__all__ = ["serve"]

TOKEN_VARIABLE = "TINYFLEET_CATALOG_TOKEN"


@with_access
def serve(
    catalog: CatalogPath = DEFAULT_CATALOG,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: any free one.")] = 8080,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Show a catalogue that another process owns.")
    ] = False,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="File with the token for writing; else the variable TINYFLEET_CATALOG_TOKEN."
        ),
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="Reading needs the token, too.")
    ] = False,
    deadline: Annotated[float, typer.Option(help="Seconds that a query may take.")] = 5.0,
    max_rows: Annotated[int, typer.Option(min=1, help="Rows that an answer may have.")] = 10_000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Queries at once.")] = 2,
    rate: Annotated[
        float, typer.Option(min=0, help="Requests a second of each client; 0: any number.")
    ] = 100.0,
    name: Annotated[
        list[str] | None,
        typer.Option(help="Host name that it is called by, such as a proxy's; again: another."),
    ] = None,
    broker: Annotated[
        str | None,
        typer.Option(help="MQTT broker whose devices are described and watched, as they come."),
    ] = None,
    site: Site = "default",
    access: Access = ANONYMOUS,
) -> None:
    """Serve the catalogue over HTTP: SPARQL, the WoT directory, and pages, until Ctrl-C.

    With --broker, what the devices of a site say of themselves goes into it while it is served.

    Example: tinyfleet catalog serve --catalog runs/latest/catalog --read-only
    """
    from ontology.http.serve import Serving
    from ontology.http.serve import serve as serve_catalog

    place = existing(catalog) if read_only else located(catalog)
    how = Serving(
        str(place), host, port, read_only, _token(token_file), private, workers, deadline,
        max_rows, rate, tuple(name or ()),
    )  # fmt: skip

    def ready(address: str) -> None:
        kind = "read and written" if how.token and not read_only else "read"
        typer.echo(f"{catalog} is {kind} at {address} (Ctrl-C stops)", err=True)

    if broker is not None and read_only:
        raise UsageError("what is only read takes nothing from a broker.", hint="no --read-only")
    beside = None
    if broker is not None:
        from server.keeper import kept_by_broker

        link = access.to(broker)
        beside = partial(kept_by_broker, options=link, site=site)
    serve_catalog(how, on_ready=ready, beside=beside)


def _token(file: Path | None) -> str | None:
    if file is None:
        return os.environ.get(TOKEN_VARIABLE) or None
    try:
        found = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the token in {file}: {error}.") from None
    if not found:
        raise UsageError(f"{file} is empty.", hint="openssl rand -hex 32")
    return found
