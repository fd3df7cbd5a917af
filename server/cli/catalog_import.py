"""`tinyfleet catalog import`: take in the published catalogue, and say what is wrong with it."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from server.cli.catalog_folder import located
from server.cli.options import DEFAULT_CATALOG, AsJson, CatalogPath, print_json, print_table

__all__ = ["import_command"]


def import_command(
    folder: Annotated[Path, typer.Argument(help="Folder with models.ttl, devices/ and models/.")],
    catalog: CatalogPath = DEFAULT_CATALOG,
    faults: Annotated[bool, typer.Option("--faults", help="List every fault, by line.")] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="List our figures beside the published ones.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Import the published catalogue of TinyML models and boards, and report its faults.

    Example: tinyfleet catalog import tinyml_catalogue --faults --compare
    """
    from ontology.catalog import Catalog
    from ontology.published.describe import import_published

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


def _why(reason: str | None) -> str:
    return "not explained" if reason is None else reason or "-"
