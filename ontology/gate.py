"""What stands between SPARQL from outside and the engine: no network, and who asks only reads.

The engine would follow SERVICE and LOAD to any address; FROM could name local files in others.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from edge.errors import QueryError
from ontology.namespaces import PREFIXES
from ontology.terms import Term, written

MAX_ROWS = 10_000
MAX_BYTES = 64 * 1024
MAX_UPDATE = 4 << 20
_EXAMPLE = "SELECT * WHERE { ?s ?p ?o } LIMIT 10"
_READS = "SELECT, ASK, CONSTRUCT or DESCRIBE over the catalogue's own facts"

_TOKEN = re.compile(
    r"""
    (?P<skip>\s+|\#[^\r\n]*)
  | (?P<iri><[^<>"{}|^`\\\x00-\x20]*>)
  | (?P<string>\"{3}(?:\"{0,2}(?:[^"\\]|\\.))*\"{3}|'{3}(?:'{0,2}(?:[^'\\]|\\.))*'{3}
      |"(?:[^"\\\r\n]|\\.)*"|'(?:[^'\\\r\n]|\\.)*')
  | (?P<name>[?$]\w+|@[A-Za-z-]+|[\w.-]*:(?:[\w.:%-]|\\[-_~.!$&'()*+,;=/?\#@%])*)
  | (?P<word>[A-Za-z_]\w*)
  | (?P<escape>\\)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_UPDATES = {"INSERT", "DELETE", "CLEAR", "DROP", "CREATE", "COPY", "MOVE", "ADD", "LOAD", "WITH"}
_REFUSED = {
    "SERVICE": "SERVICE would send the query to another server",
    "FROM": "FROM would read another source; the catalogue is one graph",
} | {word: f"{word} would change the catalogue; queries only read" for word in _UPDATES}
_CHANGES = {"INSERT", "DELETE"}
_REFUSED_UPDATES = {
    "SERVICE": _REFUSED["SERVICE"],
    "LOAD": "LOAD would fetch from another server",
    **dict.fromkeys(("FROM", "USING", "WITH", "GRAPH"), "the catalogue is one graph, without name"),
    **dict.fromkeys(
        ("CLEAR", "DROP", "CREATE", "COPY", "MOVE", "ADD"), "updates insert and delete triples"
    ),
}
_AT = re.compile(r"error at (\d+):(\d+): ?(.*)", re.DOTALL)


def check(text: str) -> None:
    """Let a query pass that reads and stays here.

    Raises:
        QueryError: it is too long, empty, changes things, or reaches out.
    """
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise QueryError(f"a query may have {MAX_BYTES} bytes, this has {len(text)} characters.")
    if not _words_checked(text, _REFUSED):
        raise QueryError("the query is empty.", hint=_EXAMPLE)


def check_update(text: str) -> None:
    """Let an update pass that inserts and deletes triples, and stays here.

    Raises:
        QueryError: it is too long, changes nothing, does anything else, or reaches out.
    """
    if len(text.encode(errors="replace")) > MAX_UPDATE:
        raise QueryError(f"an update may have {MAX_UPDATE} bytes, this has more.")
    if not _words_checked(text, _REFUSED_UPDATES) & _CHANGES:
        raise QueryError("the update changes nothing.", hint="INSERT DATA { … }")


def _words_checked(text: str, refused: Mapping[str, str]) -> set[str]:
    """The words of a text, in capitals; QueryError where one may not pass."""
    words = set()
    for token in _TOKEN.finditer(text):
        if token.lastgroup == "word":
            words.add(token.group().upper())
        if reason := _objection(str(token.lastgroup), token.group(), refused):
            raise _refusal(text, token.start(), reason, refused)
    return words


@lru_cache(maxsize=64)
def check_template(text: str) -> None:
    """The same for a text of our own into which terms are bound: once, and then never again."""
    check(text)


def bind(text: str, bindings: Mapping[str, Term]) -> str:
    """Put terms in the place of variables.

    Whole variable tokens are exchanged for written terms, so that nothing in a value is read as
    SPARQL; and any SPARQL 1.1 endpoint understands the outcome. A bound variable must not stand
    in SELECT or BIND.
    """
    parts = []
    for word in _words(text):
        bound = bindings.get(word[1:]) if word[0] in "?$" else None
        parts.append(word if bound is None else written(bound))
    return "".join(parts)


@lru_cache(maxsize=64)
def _words(text: str) -> tuple[str, ...]:
    return tuple(token.group() for token in _TOKEN.finditer(text))


def _objection(kind: str, token: str, refused: Mapping[str, str]) -> str:
    """Why a token may not pass; empty if it may.

    The engine's parser needs no space around a keyword (`trueSERVICE<x>`, `SERVICE:x`) and reads
    `<` as an operator where it can (`?a<'>'`), so such spellings are refused, not understood.
    """
    if kind == "escape":
        return "a backslash may only stand in a string or a prefixed name"
    if kind == "iri" and "'" in token:
        return "an apostrophe in an IRI must be written %27"
    if kind == "word":
        pieces = [token.upper()]
    elif kind == "name" and token[0] not in "?$@":
        prefix, _, local = token.upper().partition(":")
        pieces = [prefix, *local.split(".")[1:]]
    else:
        return ""
    exact = refused.get(pieces[0], "") if kind == "word" else ""
    hidden = (refused[word] for word in ("SERVICE", "FROM") if any(word in p for p in pieces))
    return exact or next(hidden, "")


def _refusal(text: str, at: int, reason: str, refused: Mapping[str, str]) -> QueryError:
    line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
    return QueryError(
        f"line {line}, column {column}: {reason}.\n{_pointer(text, line, column)}",
        hint=_READS if refused is _REFUSED else "INSERT DATA, DELETE DATA, or both with WHERE",
    )


def syntax_error(text: str, error: Exception) -> QueryError:
    """An engine's complaint about a query, with the place shown."""
    found = _AT.search(str(error))
    if not found:
        return QueryError(f"the query is malformed: {error}.", hint=_hint(str(error)))
    if undeclared := _undeclared(text):
        return undeclared
    line, column, reason = int(found[1]), int(found[2]), found[3].strip()
    if not reason or reason.startswith("expected"):
        lines = [*text.splitlines(), *[""] * line]
        rest = lines[line - 1][column - 1 :].split()
        reason = (
            f"malformed at or just before {rest[0][:30]!r}" if rest else "the query ends too early"
        )
    return QueryError(
        f"line {line}, column {column}: {reason}.\n{_pointer(text, line, column)}",
        hint=_hint(reason),
    )


def _undeclared(text: str) -> QueryError | None:
    """The first prefix that the text uses and nobody declared, of which engines say little."""
    known, declares = set(PREFIXES), False
    for token in _TOKEN.finditer(text):
        if token.lastgroup == "word":
            declares = token.group().upper() == "PREFIX"
        elif token.lastgroup == "name" and token.group()[0] not in "?$@":
            prefix = token.group().partition(":")[0]
            if declares:
                known.add(prefix)
            elif prefix not in known and prefix != "_":
                line = text.count("\n", 0, token.start()) + 1
                column = token.start() - text.rfind("\n", 0, token.start())
                return QueryError(
                    f"line {line}, column {column}: the prefix {prefix}: is not declared.\n"
                    f"{_pointer(text, line, column)}",
                    hint=_hint("prefix"),
                )
            declares = False
    return None


def _pointer(text: str, line: int, column: int) -> str:
    lines = text.splitlines() or [""]
    shown = lines[min(line, len(lines)) - 1].replace("\t", " ")
    first = max(0, min(column, len(shown) + 1) - 60)
    return f"  {shown[first : first + 76]}\n  {' ' * (column - 1 - first)}^"


def _hint(reason: str) -> str:
    if "prefix" in reason.lower():
        return "a PREFIX line; tf:, td:, sosa:, prov:, dcat:, dct: and nnet: need none"
    return "what stands before the mark, or a query of `tinyfleet catalog queries`"
