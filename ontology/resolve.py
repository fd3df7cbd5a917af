"""What a person calls a device or a model, turned into its IRI."""

import difflib
import re

from edge.errors import UsageError
from ontology.namespaces import DCT, MODEL_PREFIX, PROV, RDF, TF, device_iri, model_iri, shorten
from ontology.store import Store
from ontology.terms import Iri, Literal, is_iri, literal

_DIGEST = re.compile(r"(?:sha256:)?([0-9a-fA-F]{6,64})")


def checked_iri(text: str) -> Iri:
    """An absolute IRI, or a UsageError."""
    if not is_iri(text):
        raise UsageError(f"{text!r} is not an IRI.", hint="urn:tinyfleet:lab:nano-1")
    return Iri(text)


def device(store: Store, name: str) -> Iri:
    """The device with this IRI, this `site/name`, or this name if it is the only one.

    Raises:
        UsageError: no device has the name, or several have.
    """
    if name.startswith(("urn:", "http:", "https:")):
        return checked_iri(name)
    if name.count("/") == 1:
        return Iri(device_iri(*name.split("/")))
    found = sorted(t.subject for t in store.match(None, TF + "device", literal(name)))
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(map(shorten, found))
        raise UsageError(f"several devices are named {name!r}: {several}.", hint=shorten(found[0]))
    names = {
        t.object.text for t in store.match(None, TF + "device") if isinstance(t.object, Literal)
    }
    raise _unknown("device", name, names)


def model(store: Store, name: str) -> Iri:
    """The model with this IRI, digest (6 digits or more), or title; of versions, the newest.

    Raises:
        UsageError: no model has the name, or several that are not versions of one another.
    """
    if name.startswith(("urn:", "http:", "https:")):
        return checked_iri(name)
    found = {t.subject for t in store.match(None, DCT + "title", literal(name))}
    digest = _DIGEST.fullmatch(name)
    if not found and digest and len(digest[1]) == 64:
        return Iri(model_iri(digest[1]))
    if not found and digest:
        start = MODEL_PREFIX + digest[1].lower()
        kinds = store.match(None, RDF + "type", Iri(TF + "Model"))
        found = {t.subject for t in kinds if t.subject.startswith(start)}
    older = {t.object for one in found for t in store.match(one, PROV + "wasRevisionOf")}
    newest = sorted(found - older)
    if len(newest) == 1:
        return newest[0]
    if newest:
        several = ", ".join(shorten(iri) for iri in newest[:5])
        raise UsageError(
            f"{name!r} is the name of {len(newest)} models: {several}.", hint="a digest"
        )
    titles = store.match(None, DCT + "title")
    raise _unknown("model", name, {t.object.text for t in titles if isinstance(t.object, Literal)})


def _unknown(kind: str, name: str, names: set[str]) -> UsageError:
    near = difflib.get_close_matches(name, names, n=3)
    hint = ", ".join(near or sorted(names)[:5]) or "put one into the catalogue first"
    return UsageError(f"no {kind} in the catalogue is named {name!r}.", hint=hint)
