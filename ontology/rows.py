"""Rows of an answer, read from the text that the engine writes far faster than it gives terms."""

import gc
import re
from collections.abc import Iterator
from typing import Any

from edge.errors import QueryError
from ontology.namespaces import XSD
from ontology.ntriples import term_of
from ontology.results import Row
from ontology.terms import Iri, Literal, Term

__all__ = ["CappedText", "rows_of"]

_NUMBERS = (
    (re.compile(r"[+-]?[0-9]+"), XSD + "integer"),
    (re.compile(r"[+-]?[0-9]*\.[0-9]+"), XSD + "decimal"),
    (re.compile(r"[+-]?(?:[0-9]+\.[0-9]*|\.?[0-9]+)[eE][+-]?[0-9]+"), XSD + "double"),
    (re.compile("true|false"), XSD + "boolean"),
)


class CappedText:
    """What an engine writes its answer into; it refuses more lines than allowed.

    Args:
        max_rows: lines below the first.
    """

    def __init__(self, max_rows: int) -> None:
        self._left, self._max = max_rows + 1, max_rows
        self._parts: list[bytes] = []
        self.full = False

    def write(self, data: bytes) -> int:
        """Take some bytes.

        Raises:
            QueryError: there are more lines.
        """
        self._left -= data.count(b"\n")
        self.full = self._left < 0
        if self.full:
            raise self.error()
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def error(self) -> QueryError:
        """That there are too many rows."""
        return QueryError(
            f"the query has more than {self._max} rows.", hint="LIMIT, or a narrower pattern"
        )

    def lines(self) -> Iterator[str]:
        """The lines below the first."""
        text = b"".join(self._parts).decode()
        return iter(text.split("\n")[1:-1])


def rows_of(lines: Iterator[str]) -> tuple[Row, ...]:
    """Terms of lines in the SPARQL 1.1 Query Results TSV Format (W3C Recommendation, 2013).

    The collector of cycles rests meanwhile: rows have none, and to look for some again and again
    takes a quarter of the time of a long answer.
    """
    resting = gc.isenabled()
    gc.disable()
    try:
        return _rows(lines)
    finally:
        if resting:
            gc.enable()


def _rows(lines: Iterator[str]) -> tuple[Row, ...]:
    known: dict[str, Term | None] = {"": None}
    rows = []
    for line in lines:
        row: list[Any] = []
        for text in line.split("\t"):
            if text[:1] == "<":
                row.append(Iri(text[1:-1]))
                continue
            if text not in known:
                known[text] = _term(text)
            row.append(known[text])
        rows.append(tuple(row))
    return tuple(rows)


def _term(text: str) -> Term:
    for pattern, datatype in _NUMBERS:
        if pattern.fullmatch(text):
            return Literal(text, datatype)
    return term_of(text)
