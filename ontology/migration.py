"""Backups, and facts of an older vocabulary made those of today's."""

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from edge.errors import UsageError
from ontology.capacity import CAPACITY, capacity_triples
from ontology.namespaces import RDF, TF, WOTSEC
from ontology.ntriples import triple_of
from ontology.store import Store
from ontology.terms import Iri, Triple, literal

__all__ = ["VERSION", "backup", "migrate", "restore", "version_of"]

VERSION = 3
"""Of what is written: 1 had no capacities, 2 a misspelt class of WoT. A step that is done already
changes nothing."""
CATALOG = Iri("urn:tinyfleet:catalog")
_VERSION = Iri(TF + "schemaVersion")
Change = tuple[list[Triple], list[Triple]]


def version_of(store: Store) -> int:
    """The version that was migrated to last; 1 where it never was, whatever the store holds."""
    for triple in store.match(CATALOG, _VERSION):
        return int(getattr(triple.object, "text", "1"))
    return 1


def migrate(store: Store) -> list[int]:
    """Bring a store to today's version, a transaction a step.

    Returns:
        The versions passed through, the first being the one found; one only where nothing was due.

    Raises:
        UsageError: it was written by a newer tinyfleet.
    """
    found = version_of(store)
    if found > VERSION:
        raise UsageError(
            f"the catalogue has version {found}, this program knows {VERSION}.",
            hint="pip install -U tinyfleet",
        )
    passed = [found]
    for number in range(found, VERSION):
        gone, come = _STEPS[number](store)
        stated = list(store.match(CATALOG, _VERSION))
        mark = Triple(CATALOG, _VERSION, literal(number + 1))
        kind = Triple(CATALOG, Iri(RDF + "type"), Iri(TF + "Catalog"))
        store.replace([*gone, *stated], [*come, mark, kind])
        passed.append(number + 1)
    return passed


def _to_2(store: Store) -> Change:
    """Devices share capacities."""
    come: list[Triple] = []
    for triple in list(store.match(None, RDF + "type", Iri(TF + "Device"))):
        device = triple.subject
        if not any(True for _ in store.match(device, CAPACITY)):
            come += capacity_triples(device, list(store.match(device)))
    return [], come


def _to_3(store: Store) -> Change:
    """The security scheme `nosec` is a wotsec:NoSecurityScheme."""
    kind = Iri(RDF + "type")
    gone = list(store.match(None, kind, Iri(WOTSEC + "NoSecSecurityScheme")))
    right = Iri(WOTSEC + "NoSecurityScheme")
    return gone, [Triple(triple.subject, kind, right) for triple in gone]


_STEPS: dict[int, Callable[[Store], Change]] = {1: _to_2, 2: _to_3}


def backup(store: Store, path: Path) -> int:
    """Write everything as sorted N-Triples, gzipped where the name ends so; whole, or not at all.

    Returns:
        How many triples.
    """
    content = store.dump().encode()
    half = path.with_name(path.name + ".part")
    half.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    half.replace(path)
    return content.count(b"\n")


def restore(store: Store, path: Path) -> int:
    """Put a backup into an empty store, and migrate it.

    Returns:
        How many triples came in.

    Raises:
        UsageError: the store is not empty, the file cannot be read, or a line is no triple.
    """
    if next(iter(store.match()), None):
        raise UsageError("the catalogue is not empty.", hint="a folder that does not exist yet")
    count = 0
    for _ in _lines(path):
        count += 1
    store.load(line.encode() for line in _lines(path))
    migrate(store)
    return count


def _lines(path: Path) -> Iterator[str]:
    """Its lines, each looked at before anything is written."""
    opened: Iterable[str]
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8")
        ) as opened:
            for number, line in enumerate(opened, 1):
                try:
                    triple = triple_of(line.rstrip("\n"))
                except UsageError as error:
                    raise UsageError(f"{path}, line {number}: {error.message}") from None
                if triple:
                    yield line
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"{path} cannot be read: {said}.", hint="a file of backup") from None
