"""Search of Thing Descriptions by JSONPath (RFC 9535)."""

import json
from typing import TYPE_CHECKING, Any

from edge.errors import QueryError

if TYPE_CHECKING:
    from ontology.catalog import Catalog

__all__ = ["search"]

MAX_CHARACTERS = 4096
_THINGS = "SELECT ?thing WHERE { ?thing a td:Thing } ORDER BY ?thing"


def search(catalog: "Catalog", text: str, max_rows: int) -> bytes:
    """The values that a path finds in the array of all Thing Descriptions, as a JSON array.

    Raises:
        QueryError: the path is malformed, or finds more than `max_rows` values.
    """
    import jsonpath

    if len(text) > MAX_CHARACTERS:
        raise QueryError(f"a JSONPath may have {MAX_CHARACTERS} characters.", hint="$[*].title")
    try:
        path = jsonpath.compile(text, strict=True)
    except (jsonpath.JSONPathError, ValueError, IndexError, RecursionError) as error:
        raise _refused(text, error) from None
    rows = catalog.query(_THINGS, max_rows=1 << 30).rows
    things = [catalog.get_thing(str(row[0])) for row in rows]
    found: list[Any] = []
    try:
        for match in path.finditer(things):
            found.append(match.obj)
            if len(found) > max_rows:
                raise QueryError(f"the path finds more than {max_rows} values.", hint="a filter")
    except jsonpath.JSONPathError as error:
        raise _refused(text, error) from None
    return json.dumps(found, ensure_ascii=False).encode()


def _refused(text: str, error: Exception) -> QueryError:
    """Without str(error): the library's own fails where the fault is at the end of the text."""
    reason = str(error.args[0]) if error.args else "malformed"
    return QueryError(f"the JSONPath {text[:80]!r}: {reason}.", hint="$[*].title")
