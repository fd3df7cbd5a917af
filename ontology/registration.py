"""When a thing was put into a directory, and when it leaves (WoT Discovery, section 7.3.1.1)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from edge.errors import UsageError
from ontology.namespaces import DISCOVERY, RDF
from ontology.terms import Iri, Literal, Triple, literal, python

if TYPE_CHECKING:
    from ontology.store import Store

__all__ = ["REGISTERED", "Registration", "expired", "registered", "registration_iri", "renewed"]

REGISTERED = Iri(DISCOVERY + "hasRegistrationInformation")
MAX_TTL = 10 * 365 * 24 * 3600.0  # seconds
_NAMES = {
    "created": Iri(DISCOVERY + "dateCreated"),
    "modified": Iri(DISCOVERY + "dateModified"),
    "expires": Iri(DISCOVERY + "expires"),
    "ttl": Iri(DISCOVERY + "ttl"),
}


@dataclass(frozen=True)
class Registration:
    """Facts about an entry.

    Args:
        created: when it was made.
        modified: when it was last changed.
        expires: when it leaves; None: never.
        ttl: seconds from a change until it leaves, as its producer said; None: not said.
    """

    created: datetime
    modified: datetime
    expires: datetime | None = None
    ttl: float | None = None

    def triples(self, thing: Iri) -> list[Triple]:
        """The facts about the entry of a thing."""
        node = registration_iri(thing)
        found = [
            Triple(thing, REGISTERED, node),
            Triple(node, Iri(RDF + "type"), Iri(DISCOVERY + "RegistrationInformation")),
        ]
        for name, predicate in _NAMES.items():
            value = getattr(self, name)
            if value is not None:
                found.append(Triple(node, predicate, literal(value)))
        return found

    def to_json(self, now: datetime) -> dict[str, Any]:
        """The `registration` of an Enriched TD; times as RFC 3339."""
        found: dict[str, Any] = {
            name: literal(value).text if isinstance(value, datetime) else value
            for name in _NAMES
            if (value := getattr(self, name)) is not None
        }
        return found | {"retrieved": literal(now).text}

    def over(self, now: datetime) -> bool:
        """Whether it is past its expiry."""
        return self.expires is not None and self.expires <= now


def registration_iri(thing: str) -> Iri:
    """The node that the facts about an entry hang on."""
    return Iri(f"{thing}#registration")


def registered(store: "Store", thing: str) -> Registration | None:
    """The registration of a thing; None where it never was registered."""
    names = {predicate: name for name, predicate in _NAMES.items()}
    facts: dict[str, Any] = {}
    for _, predicate, value in store.match(registration_iri(thing)):
        if predicate in names and isinstance(value, Literal):
            name = names[predicate]
            facts[name] = python(value) if name == "ttl" else _moment(value.text)
    return Registration(**facts) if {"created", "modified"} <= facts.keys() else None


def renewed(
    before: Registration | None, asked: Mapping[str, Any] | None, now: datetime
) -> Registration:
    """The registration of an entry that is made or changed now.

    Args:
        before: what it was; None for a new entry.
        asked: `registration` as its producer gave it: `ttl` counts before `expires`, the rest is
            the directory's to say. None: as before.
        now: when.

    Raises:
        UsageError: a time to live or a moment that is none.
    """
    created = before.created if before else now
    ttl = before.ttl if before and asked is None else (asked or {}).get("ttl")
    if ttl is not None:
        if isinstance(ttl, bool) or not isinstance(ttl, int | float) or not 0 < ttl <= MAX_TTL:
            raise UsageError(f"registration/ttl is {ttl!r}.", hint=f"seconds, up to {MAX_TTL:.0f}")
        return Registration(created, now, now + timedelta(seconds=ttl), ttl)
    if asked is None:
        return Registration(created, now, before.expires if before else None)
    expires = asked.get("expires")
    try:
        return Registration(created, now, None if expires is None else _moment(expires))
    except (ValueError, TypeError):
        raise UsageError(
            f"registration/expires is {expires!r}.", hint="2030-01-01T00:00:00Z"
        ) from None


def expired(store: "Store", now: datetime) -> Iterator[Iri]:
    """The things whose registration is over."""
    for node, _, value in store.match(None, _NAMES["expires"]):
        if isinstance(value, Literal) and _moment(value.text) <= now:
            yield Iri(node.removesuffix("#registration"))


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
