"""`tinyfleet catalog import` and `export`: other people's shapes, in with their faults and out."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from server.cli.catalog_folder import existing, located
from server.cli.options import DEFAULT_CATALOG, AsJson, CatalogPath, print_json, print_table

__all__ = ["export_command", "import_command"]


def import_command(
    folder: Annotated[
        Path, typer.Argument(help="Folder with models.ttl, devices/ and models/; or a Turtle file.")
    ],
    catalog: CatalogPath = DEFAULT_CATALOG,
    faults: Annotated[bool, typer.Option("--faults", help="List every fault, by line.")] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="List our figures beside the published ones.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Import the published catalogue of TinyML models and boards, and report its faults.

    A Turtle file in the shape of S3N (see `catalog export`) is taken, too.

    Example: tinyfleet catalog import tinyml_catalogue --faults --compare
    """
    from ontology.catalog import Catalog
    from ontology.published.describe import import_published

    if folder.is_file():
        from ontology.capabilities import import_view

        with Catalog.open(located(catalog)) as opened:
            models, devices = import_view(opened, folder)
        if as_json:
            print_json({"models": models, "devices": devices})
        else:
            typer.echo(f"{len(models)} models and {len(devices)} devices are in {catalog}")
        return
    with Catalog.open(located(catalog)) as opened:
        done = import_published(opened, folder)
    if as_json:
        print_json(
            {
                "models": list(done.models),
                "devices": list(done.devices),
                "faults": [fault._asdict() for fault in done.faults],
                "comparisons": [one._asdict() for one in done.comparisons],
            }
        )
        return
    if faults:
        for fault in done.faults:
            typer.echo(str(fault))
    if compare:
        rows = [
            [c.model, c.figure, str(c.published), str(c.ours), _why(c.reason)]
            for c in done.comparisons
            if c.figure != "operators" or c.reason != ""
        ]
        print_table(["model", "figure", "published", "ours", "why"], rows)
    kinds = Counter(fault.code for fault in done.faults)
    print_table(["fault", "lines"], [[code, str(count)] for code, count in kinds.most_common()])
    agree = sum(c.reason == "" for c in done.comparisons)
    unexplained = sum(c.reason is None for c in done.comparisons)
    typer.echo(
        f"{len(done.models)} models and {len(done.devices)} devices are in {catalog}; "
        f"{len(done.faults)} faults; of {len(done.comparisons)} figures {agree} agree, "
        f"{len(done.comparisons) - agree - unexplained} differ and are explained, "
        f"{unexplained} are not."
    )


def export_command(
    file: Annotated[Path, typer.Argument(help="Turtle file to write.")],
    catalog: CatalogPath = DEFAULT_CATALOG,
    as_json: AsJson = False,
) -> None:
    """Write memory of devices and needs of models in the shape of S3N and SSN.

    Example: tinyfleet catalog export capabilities.ttl --catalog runs/latest/catalog
    """
    from ontology.capabilities import write_view
    from ontology.catalog import Catalog

    with Catalog.open(existing(catalog), read_only=True) as opened:
        count = write_view(opened.store, file)
    if as_json:
        print_json({"triples": count, "file": str(file)})
    else:
        typer.echo(f"{count} triples are in {file}")


def _why(reason: str | None) -> str:
    return "not explained" if reason is None else reason or "-"
