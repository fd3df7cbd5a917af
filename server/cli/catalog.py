"""`tinyfleet catalog`: ask what runs where, and what fits."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge.errors import UsageError
from server.cli.options import DEFAULT_CATALOG, AsJson, CatalogPath, print_json, print_table

if TYPE_CHECKING:
    from ontology.match import Match

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

    parameters: dict[str, Any] = dict(_pair(entry) for entry in parameter or [])
    with Catalog.open(_existing(catalog), read_only=True) as opened:
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


@app.command()
def match(
    model: Annotated[
        str | None, typer.Option(help="Name or SHA-256 of a model: where does it fit?")
    ] = None,
    device: Annotated[str | None, typer.Option(help="A device: what fits it?")] = None,
    catalog: CatalogPath = DEFAULT_CATALOG,
    as_json: AsJson = False,
) -> None:
    """Say what fits where, and why not.

    Example: tinyfleet catalog match --device mcu-1 --catalog runs/latest/catalog
    """
    from ontology.catalog import Catalog
    from ontology.match import fits

    if model is None and device is None:
        raise UsageError("neither a model nor a device is given.", hint="--device mcu-1")
    with Catalog.open(_existing(catalog), read_only=True) as opened:
        found = fits(opened, model=model, device=device)
    if as_json:
        print_json([_match_facts(entry) for entry in found])
    else:
        rows = [
            [m.device, m.model[:23], _yes(m.runs), _yes(m.trains), "; ".join(m.reasons)]
            for m in found
        ]
        print_table(["device", "model", "runs", "trains", "why not"], rows)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _match_facts(match: "Match") -> dict[str, Any]:
    return {
        "device": match.device,
        "model": match.model,
        "runs": match.runs,
        "trains": match.trains,
        "reasons": list(match.reasons),
    }


def _pair(entry: str) -> tuple[str, str]:
    name, separator, value = entry.partition("=")
    if not separator:
        raise UsageError(f"--param {entry!r} is not NAME=VALUE.", hint="--param device=mcu-1")
    return name, value


def _existing(path: Path) -> Path:
    if not path.is_dir():
        raise UsageError(f"there is no catalogue at {path}.", hint="--catalog runs/ID/catalog")
    return path


def _read(text: str) -> str:
    from server.cohort_query import read_query

    return read_query(Path(text)) if text.endswith(".rq") else text
