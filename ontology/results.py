"""The answer to a query, and the forms it is shown in."""

import csv
import io
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ontology.namespaces import XSD, shorten
from ontology.terms import FLOATS, INTEGERS, Iri, Literal, Term, python

Row = tuple[Term | None, ...]


@dataclass(frozen=True)
class Result:
    """Rows of terms under column names; or a boolean, for ASK.

    Args:
        columns: names of the columns.
        rows: one term, or None where nothing is bound, for each column.
        boolean: the answer of an ASK query.
        graph: whether the rows are the triples of CONSTRUCT or DESCRIBE.
    """

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    boolean: bool | None = None
    graph: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Each row as a dict of Python values; IRIs are text, unbound is None."""
        for row in self.rows:
            cells = zip(self.columns, row, strict=True)
            yield {n: python(t) if isinstance(t, Literal) else t for n, t in cells}

    def where(self, column: str, values: Collection[str]) -> "Result":
        """The rows that have one of these values (IRIs in full) in a column."""
        index = self.columns.index(column)
        return replace(self, rows=tuple(row for row in self.rows if row[index] in values))

    def ordered(self, columns: Sequence[str]) -> "Result":
        """The rows by these columns, unbound first; a column with a minus falls.

        Faster than ORDER BY of an engine that compares terms one by one.
        """
        rows = list(self.rows)
        for column in reversed(columns):
            rank = partial(_rank, self.columns.index(column.removeprefix("-")))
            rows.sort(key=rank, reverse=column[0] == "-")
        return replace(self, rows=tuple(rows)) if columns else self

    def to_table(self) -> str:
        """Aligned text for a terminal, with IRIs shortened and numbers to the right."""
        if self.boolean is not None:
            return "yes" if self.boolean else "no"
        if not self.rows:
            return f"(nothing found: no {', '.join(self.columns)})"
        cells = [[_readable(term) for term in row] for row in self.rows]
        widths = [max(map(len, column)) for column in zip(self.columns, *cells, strict=True)]
        right = [all(_is_number(row[i]) for row in self.rows) for i in range(len(self.columns))]
        lines = [list(self.columns), ["-" * width for width in widths], *cells]
        return "\n".join(_line(line, widths, right) for line in lines)

    def to_json(self) -> str:
        """SPARQL 1.1 Query Results JSON Format (W3C Recommendation, 2013)."""
        if self.boolean is not None:
            return json.dumps({"head": {}, "boolean": self.boolean})
        bindings = [
            {n: _json(t) for n, t in zip(self.columns, row, strict=True) if t is not None}
            for row in self.rows
        ]
        answer = {"head": {"vars": list(self.columns)}, "results": {"bindings": bindings}}
        return json.dumps(answer, ensure_ascii=False, indent=1)

    def to_csv(self) -> str:
        """SPARQL 1.1 Query Results CSV Format (W3C Recommendation, 2013)."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\r\n")
        if self.boolean is not None:
            writer.writerows([["boolean"], [str(self.boolean).lower()]])
            return out.getvalue()
        writer.writerow(self.columns)
        for row in self.rows:
            texts = (t.text if isinstance(t, Literal) else t for t in row)
            writer.writerow(["" if text is None else text for text in texts])
        return out.getvalue()


def _rank(index: int, row: Row) -> tuple[int, float, str]:
    term = row[index]
    if term is None:
        return (0, 0.0, "")
    if isinstance(term, Literal):
        value = python(term)
        if isinstance(value, int | float):
            return (2, float(value), "")
        return (3, 0.0, term.text)
    return (1, 0.0, term)


def _line(cells: list[str], widths: list[int], right: list[bool]) -> str:
    padded = (
        cell.rjust(width) if flush else cell.ljust(width)
        for cell, width, flush in zip(cells, widths, right, strict=True)
    )
    return "  ".join(padded).rstrip()


def _readable(term: Term | None) -> str:
    if term is None:
        return "-"
    if isinstance(term, Iri):
        return shorten(term)
    if term.datatype == XSD + "boolean":
        return "yes" if python(term) else "no"
    if term.datatype in FLOATS:
        return f"{python(term):.4g}"
    printable = "".join(c if c.isprintable() else " " for c in term.text)
    return printable if len(printable) <= 60 else printable[:59] + "…"


def _is_number(term: Term | None) -> bool:
    return term is None or (isinstance(term, Literal) and term.datatype in INTEGERS | FLOATS)


def _json(term: Term) -> dict[str, str]:
    if isinstance(term, Iri):
        return {"type": "bnode" if term.startswith("_:") else "uri", "value": term}
    found = {"type": "literal", "value": term.text}
    if term.language:
        return found | {"xml:lang": term.language}
    return found if term.datatype == XSD + "string" else found | {"datatype": term.datatype}
