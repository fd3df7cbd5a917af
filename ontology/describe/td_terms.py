"""The terms of a Thing Description 1.1, by the place where they stand, and what they map to.

Written after the tables of "Web of Things (WoT) Thing Description 1.1", W3C Recommendation, 2023,
and the IRIs of its ontologies. A key of `Scope.terms` is a JSON name.
"""

from dataclasses import dataclass, field
from enum import Enum

from ontology.namespaces import DCT, DISCOVERY, HCTL, JSONSCHEMA, RDF, SCHEMA, TD, WOTSEC, XSD


class Kind(Enum):
    """How a JSON value becomes RDF."""

    VALUE = "a literal, or several"
    JSON = "any JSON value, kept as one rdf:JSON literal unless it is a scalar"
    URI = "an xsd:anyURI literal, or several"
    TIME = "an xsd:dateTime literal"
    WORD = "a word of a fixed vocabulary, or several"
    LANGUAGES = "a map from language tag to text"
    NODE = "an object, or a list of them"
    MAP = "a map from name to object"
    SECURITY = "the name of a security definition, or several"


@dataclass(frozen=True)
class TermRule:
    """One JSON name: its property, how its value is read, and the scope inside."""

    iri: str
    kind: Kind = Kind.VALUE
    scope: str = ""
    words: dict[str, str] = field(default_factory=dict)
    always_list: bool = False


def _camel(names: str, namespace: str, suffix: str = "") -> dict[str, str]:
    return {name.lower(): f"{namespace}{name}{suffix}" for name in names.split()}


OPERATIONS = _camel(
    "readProperty writeProperty observeProperty unobserveProperty invokeAction queryAction "
    "cancelAction subscribeEvent unsubscribeEvent readAllProperties writeAllProperties "
    "readMultipleProperties writeMultipleProperties observeAllProperties unobserveAllProperties "
    "subscribeAllEvents unsubscribeAllEvents queryAllActions",
    TD,
)
SCHEMES = {"nosec": WOTSEC + "NoSecurityScheme"}
SCHEMES |= _camel("Auto Combo Basic Digest APIKey Bearer PSK OAuth2", WOTSEC, "SecurityScheme")
TYPES = _camel("Object Array Boolean String Number Integer Null", JSONSCHEMA, "Schema")

_HUMAN = {
    "title": TermRule(TD + "title"),
    "description": TermRule(TD + "description"),
    "titles": TermRule(TD + "titleInLanguage", Kind.LANGUAGES),
    "descriptions": TermRule(TD + "descriptionInLanguage", Kind.LANGUAGES),
}
_FORMS = TermRule(TD + "hasForm", Kind.NODE, "form", always_list=True)
_SECURITY = TermRule(TD + "hasSecurityConfiguration", Kind.SECURITY)
_SCHEMA = _HUMAN | {
    "type": TermRule(RDF + "type", Kind.WORD, words=TYPES),
    "const": TermRule(JSONSCHEMA + "const", Kind.JSON),
    "default": TermRule(JSONSCHEMA + "default", Kind.JSON),
    "enum": TermRule(JSONSCHEMA + "enum", Kind.JSON),
    "unit": TermRule(SCHEMA + "unitCode"),
    "required": TermRule(JSONSCHEMA + "required", always_list=True),
    "properties": TermRule(JSONSCHEMA + "properties", Kind.MAP, "schema"),
    "items": TermRule(JSONSCHEMA + "items", Kind.NODE, "schema"),
    "oneOf": TermRule(JSONSCHEMA + "oneOf", Kind.NODE, "schema", always_list=True),
    **{
        name: TermRule(JSONSCHEMA + name)
        for name in [
            "readOnly",
            "writeOnly",
            "format",
            "minimum",
            "maximum",
            "exclusiveMinimum",
            "exclusiveMaximum",
            "multipleOf",
            "minItems",
            "maxItems",
            "minLength",
            "maxLength",
            "pattern",
            "contentEncoding",
            "contentMediaType",
        ]
    },
}
_AFFORDANCE = _HUMAN | {
    "forms": _FORMS,
    "uriVariables": TermRule(TD + "hasUriTemplateSchema", Kind.MAP, "schema"),
}

SCOPES: dict[str, dict[str, TermRule]] = {
    "thing": _HUMAN
    | {
        "version": TermRule(TD + "versionInfo", Kind.NODE, "version"),
        "created": TermRule(DCT + "created", Kind.TIME),
        "modified": TermRule(DCT + "modified", Kind.TIME),
        "support": TermRule(TD + "supportContact", Kind.URI),
        "base": TermRule(TD + "baseURI", Kind.URI),
        "profile": TermRule(TD + "followsProfile", Kind.URI),
        "properties": TermRule(TD + "hasPropertyAffordance", Kind.MAP, "property"),
        "actions": TermRule(TD + "hasActionAffordance", Kind.MAP, "action"),
        "events": TermRule(TD + "hasEventAffordance", Kind.MAP, "event"),
        "links": TermRule(TD + "hasLink", Kind.NODE, "link", always_list=True),
        "forms": _FORMS,
        "security": _SECURITY,
        "securityDefinitions": TermRule(TD + "definesSecurityScheme", Kind.MAP, "security"),
        "schemaDefinitions": TermRule(TD + "schemaDefinitions", Kind.MAP, "schema"),
        "uriVariables": TermRule(TD + "hasUriTemplateSchema", Kind.MAP, "schema"),
    },
    "version": {"instance": TermRule(TD + "instance"), "model": TermRule(TD + "model")},
    "property": _SCHEMA | _AFFORDANCE | {"observable": TermRule(TD + "isObservable")},
    "action": _AFFORDANCE
    | {
        "input": TermRule(TD + "hasInputSchema", Kind.NODE, "schema"),
        "output": TermRule(TD + "hasOutputSchema", Kind.NODE, "schema"),
        "safe": TermRule(TD + "isSafe"),
        "idempotent": TermRule(TD + "isIdempotent"),
        "synchronous": TermRule(TD + "isSynchronous"),
    },
    "event": _AFFORDANCE
    | {
        "subscription": TermRule(TD + "hasSubscriptionSchema", Kind.NODE, "schema"),
        "data": TermRule(TD + "hasNotificationSchema", Kind.NODE, "schema"),
        "dataResponse": TermRule(TD + "hasEventResponseSchema", Kind.NODE, "schema"),
        "cancellation": TermRule(TD + "hasCancellationSchema", Kind.NODE, "schema"),
    },
    "schema": _SCHEMA,
    "form": {
        "href": TermRule(HCTL + "hasTarget", Kind.URI),
        "contentType": TermRule(HCTL + "forContentType"),
        "contentCoding": TermRule(HCTL + "forContentCoding"),
        "subprotocol": TermRule(HCTL + "forSubProtocol"),
        "op": TermRule(HCTL + "hasOperationType", Kind.WORD, words=OPERATIONS),
        "scopes": TermRule(WOTSEC + "scopes"),
        "security": _SECURITY,
        "response": TermRule(HCTL + "returns", Kind.NODE, "response"),
        "additionalResponses": TermRule(
            HCTL + "additionalReturns", Kind.NODE, "response", always_list=True
        ),
    },
    "response": {
        "contentType": TermRule(HCTL + "forContentType"),
        "success": TermRule(HCTL + "isSuccess"),
        "schema": TermRule(HCTL + "hasAdditionalOutputSchema"),
    },
    "link": {
        "href": TermRule(HCTL + "hasTarget", Kind.URI),
        "type": TermRule(HCTL + "hintsAtMediaType"),
        "rel": TermRule(HCTL + "hasRelationType"),
        "anchor": TermRule(HCTL + "hasAnchor", Kind.URI),
        "sizes": TermRule(HCTL + "hasSizes"),
        "hreflang": TermRule(HCTL + "hasHreflang"),
    },
    "security": {
        "scheme": TermRule(RDF + "type", Kind.WORD, words=SCHEMES),
        "description": TermRule(TD + "description"),
        "proxy": TermRule(WOTSEC + "proxy", Kind.URI),
        **{
            name: TermRule(WOTSEC + name)
            for name in ["in", "name", "qop", "format", "alg", "identity", "flow", "scopes"]
        },
        **{
            name: TermRule(WOTSEC + name, Kind.URI)
            for name in ("authorization", "token", "refresh")
        },
        "allOf": TermRule(WOTSEC + "allOf", always_list=True),
        "oneOf": TermRule(WOTSEC + "oneOf", always_list=True),
    },
    "other": {},
}

TYPE_WORDS = {
    "Thing": TD + "Thing",
    "ThingDirectory": DISCOVERY + "ThingDirectory",
    "ThingLink": DISCOVERY + "ThingLink",
}
ANY_URI = XSD + "anyURI"
DATE_TIME = XSD + "dateTime"
