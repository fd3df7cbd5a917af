"""Triples back into a Thing Description: the inverse of `ontology.describe.thing`."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

from edge.errors import UsageError
from ontology.describe.td_terms import SCOPES, TYPE_WORDS, Kind, TermRule
from ontology.describe.thing import child_iri, thing_triples
from ontology.namespaces import MQV, PREFIXES, RDF, SOSA, TD, TF
from ontology.terms import Iri, Literal, Term, Triple, python

TD_CONTEXT = "https://www.w3.org/2022/wot/td/v1.1"
ALWAYS = {"tf": TF, "sosa": SOSA, "mqv": MQV}
TYPE = RDF + "type"


def thing_description(thing: str, triples: Iterable[Triple]) -> dict[str, Any]:
    """Build the Thing Description of `thing`; see `equivalent` for what is preserved.

    Raises:
        UsageError: the triples say nothing about `thing`.
    """
    reader = _Reader(thing, triples)
    if Iri(thing) not in reader.facts:
        raise UsageError(f"nothing is known about {thing}.")
    body = reader.node(Iri(thing), "thing", ())
    return {"@context": [TD_CONTEXT, ALWAYS | reader.used], "id": thing} | body


class _Reader:
    """The triples by subject, and the prefixes used so far."""

    def __init__(self, thing: str, triples: Iterable[Triple]) -> None:
        self.thing = thing
        self.used: dict[str, str] = {}
        self.facts: dict[Iri, dict[str, list[Term]]] = defaultdict(lambda: defaultdict(list))
        for subject, predicate, value in triples:
            self.facts[subject][predicate].append(value)

    def node(self, subject: Iri, scope: str, above: tuple[Iri, ...]) -> dict[str, Any]:
        """One object, with those inside it."""
        facts = {p: sorted(values, key=str) for p, values in self.facts[subject].items()}
        found: dict[str, Any] = {}
        inside = (*above, subject)
        for key, rule in SCOPES[scope].items():
            if rule.iri == TYPE:
                self.words(facts, key, rule, found)
            elif rule.iri in facts:
                found[key] = self.values(subject, key, rule, facts.pop(rule.iri), inside)
        for value in facts.pop(TYPE, []):
            found.setdefault("@type", []).append(self.compact(str(value), TYPE_WORDS))
        for predicate, values in facts.items():
            if predicate != TD + "name" or scope in ("thing", "other"):
                rule = TermRule(predicate, Kind.NODE, "other")
                key = self.compact(predicate, {})
                found[key] = self.values(subject, key, rule, values, inside)
        return {key: _single(value) if key == "@type" else value for key, value in found.items()}

    def words(
        self, facts: dict[str, list[Term]], key: str, rule: TermRule, found: dict[str, Any]
    ) -> None:
        """Take out of rdf:type what the scope writes under a name of its own."""
        names = {iri: word for word, iri in rule.words.items()}
        types = [str(value) for value in facts.get(TYPE, [])]
        if mine := [names[iri] for iri in types if iri in names]:
            found[key] = _single(mine)
            facts[TYPE] = [value for value in facts[TYPE] if str(value) not in names]

    def values(
        self, subject: Iri, key: str, rule: TermRule, values: list[Term], above: tuple[Iri, ...]
    ) -> Any:
        """The JSON value of one name."""
        if rule.kind is Kind.MAP:
            return {
                unquote(str(value).rpartition("/")[2]): self.node(Iri(value), rule.scope, above)
                for value in values
            }
        if rule.kind is Kind.LANGUAGES:
            return {value.language: value.text for value in values if isinstance(value, Literal)}
        if rule.kind is Kind.NODE:
            return self.nodes(subject, key, rule, values, above)
        plain = [self.scalar(rule, value) for value in values]
        return plain if rule.always_list else _single(plain)

    def nodes(
        self, subject: Iri, key: str, rule: TermRule, values: list[Term], above: tuple[Iri, ...]
    ) -> Any:
        """Objects and scalars; those whose id we made come back in their order, without it."""
        alone, stem = child_iri(subject, key), child_iri(subject, key) + "/"
        listed = [v for v in values if isinstance(v, Iri) and v.startswith(stem)]
        listed.sort(key=lambda iri: int(iri.removeprefix(stem)))
        rest = [v for v in values if v not in listed]
        found: list[Any] = [self.node(iri, rule.scope, above) for iri in listed]
        for value in rest:
            if isinstance(value, Literal):
                found.append(self.scalar(rule, value))
            elif value == alone:
                found.append(self.node(value, rule.scope, above))
            else:
                known = value in self.facts and value not in above
                inner = self.node(value, rule.scope, above) if known else {}
                found.append({"@id": str(value)} | inner)
        return found if listed or rule.always_list else _single(found)

    def scalar(self, rule: TermRule, value: Term) -> Any:
        """One value that is no object."""
        if isinstance(value, Literal):
            return self.typed(value) if rule.scope == "other" else python(value)
        if rule.kind is Kind.SECURITY:
            return unquote(value.rpartition("/")[2])
        names = {iri: word for word, iri in rule.words.items()}
        return self.compact(value, {names[value]: value} if value in names else {})

    def typed(self, value: Literal) -> Any:
        """A plain JSON value where that says the datatype, else a value object."""
        plain = python(value)
        if value.language:
            return {"@value": value.text, "@language": value.language}
        if isinstance(plain, str) and not value.datatype.endswith("#string"):
            return {"@value": value.text, "@type": self.compact(value.datatype, {})}
        return plain

    def compact(self, iri: str, words: dict[str, str]) -> str:
        """The shortest way to write an IRI here."""
        for word, meaning in words.items():
            if meaning == iri:
                return word
        for prefix, namespace in PREFIXES.items():
            if iri.startswith(namespace):
                if prefix not in ALWAYS:
                    self.used[prefix] = namespace
                return f"{prefix}:{iri.removeprefix(namespace)}"
        return iri


def _single(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values


def equivalent(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two Thing Descriptions say the same.

    As in JSON-LD 1.1, the order of a list and of keys means nothing, a list of one equals its
    item, and prefixes are what they stand for.
    """
    return set(thing_triples(one)) == set(thing_triples(other))
