"""Faults of the published files, line by line: what stands there, and what is made of it."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ontology.published.tokens import Token, tokens
from ontology.published.words import NNET_OLD, REPLACED, REPLACED_TD, TD_TERMS

__all__ = ["Fault", "find_faults", "repaired"]

_INDEX = re.compile(r"nnet:hasIndex (\d+)")
_SUBJECT = re.compile(r"^<([^>]*)>")
_SCHEMAS = ("neural-network-schema#", "_extend/", "//w3id.org/s3n/", "/ns/ssn/systems/")
_UNKNOWN_TEXT = frozenset({"N.A.", "None", "n/a", "unknown", ""})


class Fault(NamedTuple):
    """One fault.

    Args:
        file: name of the file, relative to the catalogue's folder.
        line: its line, from 1.
        code: kind of fault.
        found: what stands there.
        done: what the import makes of it.
    """

    file: str
    line: int
    code: str
    found: str
    done: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.code}: {self.found}; {self.done}"


@dataclass(frozen=True)
class _Known:
    """What the schemas define, and which prefixes the file declares."""

    defined: frozenset[str]

    def undefined(self, iri: str) -> bool:
        return any(part in iri for part in _SCHEMAS) and iri not in self.defined


def find_faults(file: str, text: str, defined: frozenset[str]) -> Iterator[Fault]:
    """All faults of one Turtle file that can be seen in its own lines.

    Args:
        file: its name, for the report.
        text: its text.
        defined: IRIs that the schemas beside it define.
    """
    known = _Known(defined)
    for token in tokens(text):
        for check in _CHECKS:
            if found := check(token, known):
                yield Fault(file, token.line, *found)
    yield from _indices(file, text)


Found = tuple[str, str, str] | None


def _address(token: Token, known: _Known) -> Found:
    if token.kind != "iri" or token.written.startswith("<http"):
        return None
    return "no-address", f"{token.written} is no absolute IRI", "taken as unknown"


def _slash(token: Token, known: _Known) -> Found:
    if token.kind == "iri" and "//" in token.value.partition("://")[2]:
        return "double-slash", "an IRI with an empty path segment", "read with one slash"
    return None


def _colon(token: Token, known: _Known) -> Found:
    if token.kind == "name" and "::" in token.written:
        right = token.written.replace("::", ":")
        return "double-colon", f"{token.written} names another thing", f"read as {right}"
    return None


def _namespace(token: Token, known: _Known) -> Found:
    if token.value.startswith(NNET_OLD):
        return "other-namespace", f"{token.value} is not in the ontology's namespace", "moved there"
    return None


def _term(token: Token, known: _Known) -> Found:
    if token.kind != "name" or "::" in token.written or not known.undefined(token.value):
        return None
    used = REPLACED.get(token.value.rpartition("#")[2].rpartition("/")[2])
    done = f"read as {used}" if used else "left out"
    return "undefined-term", f"{token.written} is in no schema beside it", done


def _thing_term(token: Token, known: _Known) -> Found:
    prefix, _, local = token.written.partition(":")
    if token.kind != "name" or prefix != "td" or local in TD_TERMS:
        return None
    done = f"read as {REPLACED_TD[local]}" if local in REPLACED_TD else "left out"
    return "undefined-term", f"{token.written} is no term of Thing Description 1.1", done


def _unknown(token: Token, known: _Known) -> Found:
    if token.kind == "string" and token.value in _UNKNOWN_TEXT:
        return "text-for-unknown", f"{token.written} says that nothing is known", "left out"
    return None


def _zero(token: Token, known: _Known) -> Found:
    if token.kind == "number" and token.after == "nnet:hasMetricValue" and not float(token.value):
        return "zero-for-unknown", "an accuracy of 0", "taken as unknown"
    return None


def _unit(token: Token, known: _Known) -> Found:
    if token.kind == "string" and token.after == "td:unit" and token.value.startswith("om:"):
        return "text-for-iri", f"the unit {token.written} is text, no IRI", "kept as text"
    return None


_CHECKS: tuple[Callable[[Token, _Known], Found], ...] = (
    _address, _slash, _colon, _namespace, _term, _thing_term, _unknown, _zero, _unit,
)  # fmt: skip


def _indices(file: str, text: str) -> Iterator[Fault]:
    """Layers of one model that have the same index."""
    subject, seen = "", set()
    for number, line in enumerate(text.splitlines(), 1):
        if start := _SUBJECT.match(line):
            subject = start[1].rpartition("/")[2]
        if found := _INDEX.search(line):
            model, index = subject.rpartition("_")[2], found[1]
            if (model, index) in seen:
                what = f"two layers of model {model} have index {index}"
                yield Fault(file, number, "double-index", what, "ordered by the layers' names")
            seen.add((model, index))


def repaired(text: str) -> str:
    """The text with the repairs that need no understanding of it."""
    parts, at = [], 0
    for token in tokens(text):
        new = token.written
        if token.kind == "iri":
            new = re.sub(r"(?<!:)//+", "/", new).replace(NNET_OLD, REPLACED_NNET)
        elif token.kind == "name":
            new = new.replace("::", ":")
        parts += [text[at : token.start], new]
        at = token.start + len(token.written)
    return "".join([*parts, text[at:]])


REPLACED_NNET = "https://w3id.org/tinyml-schema/neural-network-schema#"
