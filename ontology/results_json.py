"""Read the SPARQL 1.1 Query Results JSON Format (W3C Recommendation, 2013)."""

import json
from typing import Any

from edge.errors import QueryError, TinyfleetError
from ontology.namespaces import RDF, XSD
from ontology.results import Result
from ontology.terms import Iri, Literal, Term

__all__ = ["read_results"]


def read_results(content: bytes, max_rows: int) -> Result:
    """The rows of an answer, or its boolean.

    Raises:
        QueryError: there are more rows than `max_rows`.
        TinyfleetError: it is no such answer.
    """
    try:
        answer = json.loads(content)
        if "boolean" in answer:
            return Result((), (), boolean=bool(answer["boolean"]))
        columns = tuple(str(name) for name in answer["head"]["vars"])
        bindings = answer["results"]["bindings"]
        if len(bindings) > max_rows:
            raise QueryError(
                f"the query has more than {max_rows} rows.", hint="LIMIT, or a narrower pattern"
            )
        rows = tuple(tuple(_term(one.get(name)) for name in columns) for one in bindings)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TinyfleetError(
            f"the endpoint's answer is not SPARQL results JSON: {error}."
        ) from None
    return Result(columns, rows)


def _term(value: dict[str, Any] | None) -> Term | None:
    if value is None:
        return None
    text = str(value["value"])
    if value["type"] == "uri":
        return Iri(text)
    if value["type"] == "bnode":
        return Iri(f"_:{text}")
    if language := value.get("xml:lang"):
        return Literal(text, RDF + "langString", language)
    return Literal(text, value.get("datatype", XSD + "string"))
