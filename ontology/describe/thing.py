"""A Thing Description 1.1 as triples, without a JSON-LD processor and without any network."""

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from edge.errors import UsageError
from ontology.describe.td_terms import ANY_URI, DATE_TIME, SCOPES, TYPE_WORDS, Kind, TermRule
from ontology.namespaces import PREFIXES, RDF, TD, is_part
from ontology.terms import Iri, Literal, Term, Triple, is_iri, literal

MAX_DEPTH = 16
TYPE = Iri(RDF + "type")
NAME = Iri(TD + "name")


def thing_triples(description: Mapping[str, Any]) -> list[Triple]:
    """Describe a thing in RDF.

    Nested objects without an id get one below the thing's: `<thing>#properties/status/forms/0`,
    so there are no blank nodes, a list keeps its order, and two descriptions of one thing compare
    triple by triple.

    Args:
        description: a Thing Description with an absolute `id`. Names from other vocabularies
            need a prefix that `@context` declares, or one of `ontology.namespaces.PREFIXES`.

    Raises:
        UsageError: no usable id, a name that Thing Descriptions do not have, an undeclared prefix,
            or more than 16 levels.
    """
    subject = description.get("id", description.get("@id"))
    if not isinstance(subject, str) or not is_iri(subject):
        raise UsageError(
            f"a Thing Description needs an absolute IRI as its id, this has {subject!r}.",
            hint="an id such as urn:tinyfleet:lab:nano-1",
        )
    try:
        json.dumps(description, allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise UsageError(f"a Thing Description is JSON, this is not: {error}.") from None
    writer = _Writer(subject, {**PREFIXES, **_declared(description.get("@context"))})
    triples = [Triple(Iri(subject), TYPE, Iri(TD + "Thing"))]
    triples += writer.node(Iri(subject), description, "thing", 0)
    return list(dict.fromkeys(triples))


def _declared(context: object) -> dict[str, str]:
    """The prefixes of a `@context`; remote contexts are never fetched."""
    parts = context if isinstance(context, list) else [context]
    return {
        str(prefix): iri
        for part in parts
        if isinstance(part, Mapping)
        for prefix, iri in part.items()
        if isinstance(iri, str) and is_iri(iri)
    }


def child_iri(parent: str, *path: str) -> Iri:
    """The id of a nested object that has none of its own."""
    joint = "/" if "#" in parent else "#"
    return Iri(parent + joint + "/".join(quote(part, safe=":") for part in path))


class _Writer:
    """Walks a description; knows the thing's id and the prefixes."""

    def __init__(self, thing: str, prefixes: Mapping[str, str]) -> None:
        self.thing = thing
        self.prefixes = prefixes

    def node(
        self, subject: Iri, value: Mapping[str, Any], scope: str, depth: int
    ) -> Iterator[Triple]:
        """All triples of one object and of those inside it."""
        if depth > MAX_DEPTH:
            raise UsageError(f"a Thing Description may nest {MAX_DEPTH} levels, this goes deeper.")
        for key, content in value.items():
            if key in ("@context", "id", "@id"):
                continue
            if key == "@type":
                for word in _items(content):
                    yield Triple(subject, TYPE, self.expand(str(word), TYPE_WORDS))
                continue
            rule = SCOPES[scope].get(key) or self.foreign(key, scope)
            yield from self.term(subject, key, rule, content, depth)

    def foreign(self, key: str, scope: str) -> TermRule:
        """The rule for a name that is not of the Thing Description itself."""
        if ":" not in key:
            near = difflib.get_close_matches(key, SCOPES[scope], n=1)
            raise UsageError(
                f"{key!r} is no name that a Thing Description has in a {scope}.",
                hint=near[0] if near else "a prefixed name, such as tf:ramBytes",
            )
        return TermRule(self.expand(key, {}), Kind.NODE, "other")

    def expand(self, name: str, words: Mapping[str, str]) -> Iri:
        """A word, a prefixed name or an absolute IRI, as an IRI."""
        if name in words:
            return Iri(words[name])
        prefix, colon, local = name.partition(":")
        iri = self.prefixes[prefix] + local if colon and prefix in self.prefixes else name
        known = prefix in ("http", "https", "urn") or iri != name
        if not (known and is_iri(iri)):
            raise UsageError(
                f"{name!r} is neither a known word nor a name with a declared prefix.",
                hint="one of " + ", ".join(sorted(words) or sorted(self.prefixes)),
            )
        return Iri(iri)

    def term(
        self, subject: Iri, key: str, rule: TermRule, content: Any, depth: int
    ) -> Iterator[Triple]:
        """The triples of one name with its value."""
        predicate = Iri(rule.iri)
        if rule.kind is Kind.MAP and isinstance(content, Mapping):
            for name, inner in content.items():
                child = child_iri(subject, key, name)
                yield Triple(subject, predicate, child)
                yield Triple(child, NAME, literal(name))
                yield from self.node(child, _object(key, inner), rule.scope, depth + 1)
        elif rule.kind is Kind.LANGUAGES and isinstance(content, Mapping):
            for language, text in content.items():
                yield Triple(subject, predicate, Literal(str(text), RDF + "langString", language))
        elif rule.kind is Kind.NODE:
            yield from self.nodes(subject, key, rule, content, depth)
        elif rule.kind is Kind.JSON:
            yield Triple(subject, predicate, literal(content))
        else:
            for item in _items(content):
                yield Triple(subject, predicate, self.scalar(key, rule, item))

    def nodes(
        self, subject: Iri, key: str, rule: TermRule, content: Any, depth: int
    ) -> Iterator[Triple]:
        """Objects, alone or in a list; scalars among them where the name is a foreign one."""
        for index, item in enumerate(_items(content)):
            if rule.scope == "other" and (not isinstance(item, Mapping) or "@value" in item):
                yield Triple(subject, Iri(rule.iri), self.typed(item))
                continue
            path = (key, str(index)) if isinstance(content, list) else (key,)
            inner = _object(key, item)
            own = inner.get("@id", inner.get("id") if rule.scope == "other" else None)
            child = self.expand(own, {}) if isinstance(own, str) else child_iri(subject, *path)
            yield Triple(subject, Iri(rule.iri), child)
            if not (set(inner) <= {"@id", "id"} or is_part(child, self.thing)):
                raise UsageError(
                    f"a Thing Description speaks of its own thing, this one also of {child}.",
                    hint=f"an @id that begins with {self.thing}:",
                )
            yield from self.node(child, inner, rule.scope, depth + 1)

    def typed(self, item: Any) -> Literal:
        """A plain JSON value, or a JSON-LD value object."""
        if not isinstance(item, Mapping):
            return literal(item)
        value, kind = item["@value"], item.get("@type")
        if language := item.get("@language"):
            return Literal(str(value), RDF + "langString", str(language))
        plain = literal(value)
        return Literal(plain.text, self.expand(kind, {})) if isinstance(kind, str) else plain

    def scalar(self, key: str, rule: TermRule, item: Any) -> Term:
        """One value of a Thing Description's own name."""
        if rule.kind is Kind.VALUE:
            return literal(item)
        if not isinstance(item, str):
            raise UsageError(f"{key!r} takes text in a Thing Description, this has {item!r}.")
        if rule.kind is Kind.WORD:
            return self.expand(item, rule.words)
        if rule.kind is Kind.SECURITY:
            return child_iri(self.thing, "securityDefinitions", item)
        return Literal(item, DATE_TIME if rule.kind is Kind.TIME else ANY_URI)


def _items(content: Any) -> list[Any]:
    return content if isinstance(content, list) else [content]


def _object(key: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UsageError(f"{key!r} holds objects in a Thing Description, this has {value!r}.")
    return value
