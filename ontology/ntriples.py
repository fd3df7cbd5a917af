"""N-Triples: one triple, one line."""

import re
from collections.abc import Iterator

from edge.errors import UsageError
from ontology.namespaces import XSD
from ontology.terms import Iri, Literal, Term, Triple, written

__all__ = ["line_of", "term_of", "triple_of", "triples_of"]

_LINE = re.compile(
    r"""\s*(?P<s><[^<>"{}|^`\\\x00-\x20]*>|_:[\w.-]*\w)\s*(?P<p><[^<>"{}|^`\\\x00-\x20]*>)\s*
    (?:(?P<o><[^<>"{}|^`\\\x00-\x20]*>|_:[\w.-]*\w)
      |"(?P<text>(?:[^"\\\n\r]|\\.)*)"(?:\^\^<(?P<type>[^<>"\s]*)>|@(?P<lang>[A-Za-z0-9-]+))?)
    \s*\.\s*(?:\#.*)?$""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)")
_PLAIN = {"t": "\t", "b": "\b", "n": "\n", "r": "\r", "f": "\f", '"': '"', "'": "'", "\\": "\\"}
_LANG_STRING = "http://www.w3.org/1999/02/22-rdf-syntax-ns#langString"


def line_of(triple: Triple) -> str:
    """The line of a triple.

    Raises:
        UsageError: an IRI with a character that IRIs may not have.
    """
    try:
        return " ".join(map(written, triple)) + " .\n"
    except ValueError as error:
        raise UsageError(f"{triple} cannot be written as RDF: {error}.") from None


def triple_of(line: str) -> Triple | None:
    """The triple of a line; None for an empty one or a comment.

    Raises:
        UsageError: it is no triple.
    """
    if not line.strip() or line.lstrip().startswith("#"):
        return None
    found = _LINE.match(line)
    if not found:
        raise UsageError(f"this is no line of N-Triples: {line.strip()[:80]!r}.")
    return Triple(_iri(found["s"]), _iri(found["p"]), _object(found))


def triples_of(text: str) -> Iterator[Triple]:
    """The triples of a text, in order."""
    for line in text.split("\n"):
        if triple := triple_of(line):
            yield triple


def term_of(text: str) -> Term:
    """The term that a text writes.

    Raises:
        UsageError: it is no term.
    """
    found = _LINE.match(f"<x:s> <x:p> {text} .")
    if not found:
        raise UsageError(f"this is no term: {text[:80]!r}.")
    return _object(found)


def _iri(text: str) -> Iri:
    return Iri(text[1:-1] if text[0] == "<" else text)


def _object(found: re.Match[str]) -> Term:
    if found["o"]:
        return _iri(found["o"])
    text = _ESCAPE.sub(_unescaped, found["text"])
    if found["lang"]:
        return Literal(text, _LANG_STRING, found["lang"])
    return Literal(text, found["type"] or XSD + "string")


def _unescaped(found: re.Match[str]) -> str:
    code = found[1]
    if len(code) > 1:
        number = int(code[1:], 16)
        if number > 0x10FFFF or 0xD800 <= number < 0xE000:
            raise UsageError(f"\\{code} is no character.")
        return chr(number)
    if code not in _PLAIN:
        raise UsageError(f"\\{code} is no escape of N-Triples.")
    return _PLAIN[code]
