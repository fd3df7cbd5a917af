"""The terms of a Turtle text with the lines where they stand."""

import re
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Token", "tokens"]

_TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*)
  | (?P<iri><[^<>"{}|^`\\\x00-\x20]*>)
  | (?P<string>"(?:[^"\\\n]|\\.)*"(?:@[A-Za-z-]+)?)
  | (?P<prefix>@prefix\s+[\w-]*:\s*<[^>]*>)
  | (?P<name>[A-Za-z_][\w-]*:[\w:%-]*(?:\.[\w:%-]+)*)
  | (?P<number>[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)""",
    re.VERBOSE,
)
_PREFIX = re.compile(r"@prefix\s+([\w-]*):\s*<([^>]*)>")


class Token(NamedTuple):
    """One term.

    Args:
        kind: iri, name (a prefixed one), string or number.
        written: as it stands there.
        value: the IRI, text or digits that it means.
        line: from 1.
        start: where it begins, in characters.
        after: the name before it, as it is written.
    """

    kind: str
    written: str
    value: str
    line: int
    start: int
    after: str


def tokens(text: str) -> Iterator[Token]:
    """The terms of a Turtle text, prefixes resolved, in order; comments are skipped."""
    prefixes: dict[str, str] = {}
    line, at, before = 1, 0, ""
    for found in _TOKEN.finditer(text):
        line += text.count("\n", at, found.start())
        at = found.start()
        kind, written = str(found.lastgroup), found.group()
        if kind == "prefix":
            name = _PREFIX.match(written)
            assert name
            prefixes[name[1]] = name[2]
        elif kind != "comment":
            yield Token(kind, written, _value(kind, written, prefixes), line, at, before)
            before = written if kind == "name" else before


def _value(kind: str, written: str, prefixes: dict[str, str]) -> str:
    if kind == "iri":
        return written[1:-1]
    if kind == "string":
        return written[1:].rpartition('"')[0]
    if kind == "name":
        prefix, _, local = written.partition(":")
        return prefixes.get(prefix, prefix + ":") + local
    return written
