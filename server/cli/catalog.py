"""`tinyfleet catalog query` and `queries`: ask what runs where."""

from pathlib import Path
from typing import Annotated, Any

import typer

from edge.errors import UsageError
from server.cli.catalog_folder import existing
from server.cli.options import DEFAULT_CATALOG, AsJson, CatalogPath, print_json, print_table

app = typer.Typer(
    help="The catalogue of devices, models, rounds and deployments.", no_args_is_help=True
)


@app.command()
def query(
    text: Annotated[str, typer.Argument(help="SPARQL, a .rq file, or a named query.")],
    parameter: Annotated[
        list[str] | None, typer.Option("--param", help="NAME=VALUE of a named query; repeat.")
    ] = None,
    catalog: CatalogPath = DEFAULT_CATALOG,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Ask the catalogue in SPARQL and print the rows.

    Example: tinyfleet catalog query fleet --catalog runs/latest/catalog
    """
    from ontology.catalog import Catalog

    if as_json and as_csv:
        raise UsageError("--json and --csv are two forms of one answer.", hint="one of them")
    parameters: dict[str, Any] = dict(_pair(entry) for entry in parameter or [])
    with Catalog.open(existing(catalog), read_only=True) as opened:
        result = opened.query(_read(text), **parameters)
    if as_json:
        typer.echo(result.to_json())
    elif as_csv:
        typer.echo(result.to_csv(), nl=False)
    else:
        typer.echo(result.to_table())


@app.command()
def queries(as_json: AsJson = False) -> None:
    """List the named queries and their parameters.

    Example: tinyfleet catalog queries
    """
    from ontology.named import named_queries

    found = named_queries().values()
    if as_json:
        print_json([{"name": q.name, "title": q.title, "parameters": q.parameters} for q in found])
    else:
        rows = [[q.name, " ".join(q.parameters), q.title] for q in found]
        print_table(["name", "parameters", "what it answers"], rows)


def _pair(entry: str) -> tuple[str, str]:
    name, separator, value = entry.partition("=")
    if not separator:
        raise UsageError(f"--param {entry!r} is not NAME=VALUE.", hint="--param device=mcu-1")
    return name, value


def _read(text: str) -> str:
    from server.cohort_query import read_query

    return read_query(Path(text)) if text.endswith(".rq") else text
