"""RDF terms as plain Python values, so that describing things needs no RDF library."""

import json
import re
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ontology.namespaces import RDF, XSD


class Iri(str):
    """An absolute IRI."""

    __slots__ = ()


class Literal(NamedTuple):
    """A literal: its text, the IRI of its datatype, and a language tag or an empty string."""

    text: str
    datatype: str = XSD + "string"
    language: str = ""


Term = Iri | Literal


class Triple(NamedTuple):
    """One statement. Subjects are always IRIs: nothing we write is a blank node."""

    subject: Iri
    predicate: Iri
    object: Term


_NUMERIC = ("integer", "nonNegativeInteger", "unsignedInt", "long", "int", "positiveInteger")
INTEGERS = frozenset(XSD + name for name in _NUMERIC)
FLOATS = frozenset(XSD + name for name in ("double", "float", "decimal"))


def literal(value: object) -> Literal:
    """A literal for a bool, int, float, str or datetime; anything else becomes rdf:JSON."""
    if isinstance(value, bool):
        return Literal("true" if value else "false", XSD + "boolean")
    if isinstance(value, int):
        return Literal(str(value), XSD + "integer")
    if isinstance(value, float):
        return Literal(_double(value), XSD + "double")
    if isinstance(value, datetime):
        return Literal(value.astimezone(UTC).isoformat().replace("+00:00", "Z"), XSD + "dateTime")
    if isinstance(value, str):
        return Literal(value)
    return Literal(json.dumps(value, sort_keys=True, separators=(",", ":")), RDF + "JSON")


def _double(value: float) -> str:
    """The lexical form of xsd:double, which spells infinity INF."""
    text = repr(value)
    return {"inf": "INF", "-inf": "-INF", "nan": "NaN"}.get(text, text)


def moment(seconds: float) -> Literal:
    """An xsd:dateTime in UTC for seconds since 1970."""
    return literal(datetime.fromtimestamp(seconds, UTC))


def python(term: Literal) -> Any:
    """The Python value of a literal; its text where the datatype is not one of ours."""
    if term.datatype == XSD + "boolean":
        return term.text in ("true", "1")
    if term.datatype in INTEGERS:
        return int(term.text)
    if term.datatype in FLOATS:
        return float(term.text.replace("INF", "inf"))
    if term.datatype == RDF + "JSON":
        return json.loads(term.text)
    return term.text


_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_IRI = re.compile(r'[A-Za-z][^\x00-\x20<>"{}|^`\\:\x80-\U0010ffff]*:[^\x00-\x20<>"{}|^`\\]+')


def is_iri(text: str) -> bool:
    """Whether a text is an absolute IRI, as far as RDF syntaxes care."""
    return _IRI.fullmatch(text) is not None


def written(term: Term) -> str:
    """A term as SPARQL and N-Triples write it; nothing in it can end it early.

    Raises:
        ValueError: an IRI with a character that IRIs may not have.
    """
    if isinstance(term, Iri):
        if not is_iri(term):
            raise ValueError(f"{term!r} is not an IRI")
        return f"<{term}>"
    quoted = f'"{term.text.translate(_ESCAPES)}"'
    if term.language:
        return f"{quoted}@{term.language}"
    return quoted if term.datatype == XSD + "string" else f"{quoted}^^{written(Iri(term.datatype))}"
