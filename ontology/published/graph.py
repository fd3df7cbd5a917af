"""A small graph of parsed Turtle: values by subject and property."""

from collections import defaultdict
from typing import Any

from edge.errors import MissingExtra, UsageError

__all__ = ["NO_ADDRESS", "Graph"]

NO_ADDRESS = "http://no.address.invalid/"
"""What relative IRIs are resolved against, so that they can be told."""


class Graph:
    """The triples of one Turtle text.

    Args:
        text: the text.
        name: of the file, for errors.

    Raises:
        MissingExtra: pyoxigraph is not installed.
        UsageError: the text is no Turtle.
    """

    def __init__(self, text: str, name: str) -> None:
        try:
            import pyoxigraph as ox
        except ImportError:
            raise MissingExtra(
                "reading Turtle needs pyoxigraph, which is not installed.",
                hint="pip install 'tinyfleet[catalog]'",
            ) from None
        self._facts: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
        try:
            for quad in ox.parse(text, format=ox.RdfFormat.TURTLE, base_iri=NO_ADDRESS):
                self._facts[_plain(quad.subject)][quad.predicate.value].append(_plain(quad.object))
        except SyntaxError as error:
            raise UsageError(f"{name} is no Turtle: {error}.") from None

    def subjects(self) -> set[str]:
        """Everything that something is said of."""
        return set(self._facts)

    def all(self, subject: str, predicate: str) -> list[Any]:
        """The values of a property: IRIs and texts, numbers as int or float; unknown ones out."""
        found = self._facts[subject][predicate] if subject in self._facts else []
        return [value for value in found if not (isinstance(value, str) and _unknown(value))]

    def one(self, subject: str, predicate: str) -> Any:
        """The first value, or None."""
        return next(iter(self.all(subject, predicate)), None)

    def of_type(self, kind: str) -> list[str]:
        """The subjects of a class, sorted."""
        kinds = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
        return sorted(s for s, facts in self._facts.items() if kind in facts.get(kinds, ()))


def _unknown(text: str) -> bool:
    return text.startswith(NO_ADDRESS) or text.strip() in ("", "N.A.", "None", "n/a", "unknown")


def _plain(term: Any) -> Any:
    datatype = getattr(term, "datatype", None)
    if datatype is None:
        return str(term) if str(term).startswith("_:") else term.value
    kind = datatype.value.rpartition("#")[2]
    if kind in ("integer", "int", "long"):
        return int(term.value)
    if kind in ("double", "decimal", "float"):
        return float(term.value)
    return term.value == "true" if kind == "boolean" else term.value
