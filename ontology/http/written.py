"""The answer to a query in the format that a client accepts."""

from typing import Any

from edge.errors import QueryError
from ontology.http.accept import choose
from ontology.namespaces import PREFIXES
from ontology.results import Result, Row
from ontology.terms import Iri, Term
from ontology.terms import written as term_written

__all__ = ["NotAcceptable", "write"]

JSON, CSV = "application/sparql-results+json", "text/csv"
XML, TSV = "application/sparql-results+xml", "text/tab-separated-values"
TABLES = (JSON, XML, CSV, TSV, "application/json")
GRAPHS = {
    "text/turtle": "TURTLE",
    "application/n-triples": "N_TRIPLES",
    "application/ld+json": "JSON_LD",
    "application/rdf+xml": "RDF_XML",
    "text/plain": "N_TRIPLES",
}
PLAIN_FIRST = ("application/json", *TABLES[:-1]), ("application/ld+json", *GRAPHS)


class NotAcceptable(QueryError):
    """None of the formats of this answer is accepted."""


def write(result: Result, accept: str, *, plain: bool = False) -> tuple[str, bytes]:
    """Media type and bytes of an answer.

    Args:
        result: rows, a boolean, or triples.
        accept: the header field.
        plain: prefer application/json and application/ld+json where the client does not care.

    Raises:
        NotAcceptable: no format for such an answer is accepted.
    """
    tables, graphs = PLAIN_FIRST if plain else (TABLES, tuple(GRAPHS))
    offers = graphs if result.graph else tables
    media = choose(accept, offers)
    if media is None:
        raise NotAcceptable(
            f"this answer cannot be {accept!r}.", hint=", ".join(dict.fromkeys(offers))
        )
    if result.graph:
        return media, _graph(result, media)
    if media in (JSON, "application/json"):
        return media, result.to_json().encode()
    if media == CSV:
        return media, result.to_csv().encode()
    return media, _engine_written(result, media)


def _engine_written(result: Result, media: str) -> bytes:
    """XML and TSV: written by the engine, from TSV that is written here."""
    import pyoxigraph as ox

    kind = ox.QueryResultsFormat.XML if media == XML else ox.QueryResultsFormat.TSV
    if result.boolean is not None:
        source, form = result.to_json(), ox.QueryResultsFormat.JSON
    else:
        lines = ["\t".join(f"?{name}" for name in result.columns), *map(_line, result.rows)]
        source, form = "".join(line + "\n" for line in lines), ox.QueryResultsFormat.TSV
    answer: Any = ox.parse_query_results(source.encode(), format=form)
    content: bytes = answer.serialize(format=kind)
    return content


def _line(row: Row) -> str:
    return "\t".join("" if term is None else _term(term) for term in row)


def _term(term: Term) -> str:
    return str(term) if isinstance(term, Iri) and term.startswith("_:") else term_written(term)


def _graph(result: Result, media: str) -> bytes:
    import pyoxigraph as ox

    lines = "".join(
        " ".join(_term(t) for t in row if t is not None) + " .\n" for row in result.rows
    )
    kind = getattr(ox.RdfFormat, GRAPHS[media])
    if kind == ox.RdfFormat.N_TRIPLES:
        return lines.encode()
    quads = ox.parse(lines.encode(), format=ox.RdfFormat.N_TRIPLES)
    triples = (quad.triple for quad in quads)
    return ox.serialize(triples, format=kind, prefixes=PREFIXES) or b""
