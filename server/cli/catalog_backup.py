"""`tinyfleet catalog backup`, `restore` and `migrate`."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from server.cli.catalog_folder import existing, located
from server.cli.options import DEFAULT_CATALOG, AsJson, CatalogPath, print_json

__all__ = ["backup", "migrate", "restore"]


def backup(
    file: Annotated[Path, typer.Argument(help="File to write; .gz is compressed.")],
    catalog: CatalogPath = DEFAULT_CATALOG,
    as_json: AsJson = False,
) -> None:
    """Write everything in the catalogue as N-Triples; also while another process owns it.

    Example: tinyfleet catalog backup fleet.nt.gz --catalog runs/latest/catalog
    """
    from ontology import migration
    from ontology.catalog import Catalog

    with Catalog.open(existing(catalog), read_only=True) as opened:
        count = migration.backup(opened.store, file)
    _say(as_json, f"{count} triples are in {file}", triples=count, file=str(file))


def restore(
    file: Annotated[Path, typer.Argument(help="File that backup wrote.")],
    catalog: CatalogPath = DEFAULT_CATALOG,
    as_json: AsJson = False,
) -> None:
    """Fill an empty catalogue from a backup, and bring it to today's vocabulary.

    Example: tinyfleet catalog restore fleet.nt.gz --catalog restored
    """
    from ontology import migration
    from ontology.catalog import Catalog

    place = located(catalog)
    new = isinstance(place, Path) and not place.exists()
    try:
        with Catalog.open(place) as opened:
            count = migration.restore(opened.store, file)
    except BaseException:
        if new and isinstance(place, Path):
            shutil.rmtree(place, ignore_errors=True)
        raise
    _say(as_json, f"{count} triples are in {catalog}", triples=count, catalog=str(catalog))


def migrate(catalog: CatalogPath = DEFAULT_CATALOG, as_json: AsJson = False) -> None:
    """Bring a catalogue that an older tinyfleet wrote to today's vocabulary.

    Example: tinyfleet catalog migrate --catalog runs/latest/catalog
    """
    from ontology import migration
    from ontology.catalog import Catalog

    with Catalog.open(existing(catalog)) as opened:
        passed = migration.migrate(opened.store)
    done = "is of version" if len(passed) == 1 else "was brought to version"
    _say(as_json, f"{catalog} {done} {passed[-1]}", versions=passed)


def _say(as_json: bool, text: str, **facts: object) -> None:
    if as_json:
        print_json(facts)
    else:
        typer.echo(text)
