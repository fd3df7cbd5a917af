"""Choose devices by asking the catalogue."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.errors import UsageError
from ontology.catalog import Catalog

__all__ = ["devices_by_query", "read_query"]


def devices_by_query(
    catalog: Catalog,
    query: str,
    *,
    site: str,
    flush: Callable[[], None] | None = None,
    **parameters: Any,
) -> Callable[[], list[str]]:
    """A call that asks afresh: names of the site's devices in the column `device`.

    Args:
        catalog: whom to ask.
        query: SPARQL, or the name of a named query.
        site: devices of other sites are left out.
        flush: called before each question; waits until what came from the fleet is written.
        **parameters: of a named query.
    """
    prefix = f"urn:tinyfleet:{site}:"

    def ask() -> list[str]:
        if flush is not None:
            flush()
        result = catalog.query(query, **parameters)
        if "device" not in result.columns:
            raise UsageError(
                f"the query gives {', '.join(result.columns)}; a column `device` is needed.",
                hint="SELECT ?device ...",
            )
        found = (str(row["device"]) for row in result)
        return [iri.removeprefix(prefix) for iri in found if iri.startswith(prefix)]

    return ask


def read_query(path: Path) -> str:
    """The text of a .rq file.

    Raises:
        UsageError: it cannot be read, or is empty.
    """
    try:
        query = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text.", hint="a .rq file") from error
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}.", hint="a .rq file") from error
    if not query.strip():
        raise UsageError(f"{path} is empty.", hint="SELECT ?device ...")
    return query
