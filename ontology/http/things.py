"""The Things API of a WoT Discovery directory: create, retrieve, update, delete and list."""

import hashlib
import json
import math
import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from edge.errors import UsageError
from ontology.catalog import Catalog
from ontology.http.accept import media_type
from ontology.http.desk import Desk, desk_of, in_thread, now
from ontology.http.mergepatch import merged
from ontology.http.problems import Refusal
from ontology.http.validation import checked
from ontology.namespaces import RDF, TD
from ontology.registration import expired, registered, renewed
from ontology.terms import Iri, is_iri

__all__ = ["changed", "create", "enriched", "purge", "removed", "replace", "retrieve"]

TD_JSON, LD_JSON = "application/td+json", "application/ld+json"
PATCH_JSON = "application/merge-patch+json"
CONTEXT = "https://www.w3.org/2022/wot/discovery"
_BODIES = (TD_JSON, LD_JSON, "application/json")
_THING = Iri(TD + "Thing")


async def create(request: Request) -> Response:
    """POST /things: a description without an id; the directory gives it one."""
    desk = desk_of(request)
    desk.may_write(request)
    body = await _json(request, _BODIES)
    if "id" in body or "@id" in body:
        raise Refusal(
            400, "This thing has an id", f"PUT it to /things/{body.get('id', body.get('@id'))}."
        )
    thing = f"urn:uuid:{uuid.uuid4()}"
    await in_thread(_put, desk, {**body, "id": thing}, new=True)
    return Response(status_code=201, headers={"Location": thing})


async def replace(request: Request) -> Response:
    """PUT /things/{id}: create or replace."""
    desk, thing = desk_of(request), request.path_params["thing"]
    desk.may_write(request)
    body = await _json(request, _BODIES)
    if body.get("id", body.get("@id")) != thing:
        raise Refusal(
            400, "The ids differ", f"{body.get('id')!r} in the body, {thing!r} in the address."
        )
    _iri(thing)
    created = await in_thread(_put, desk, body, match=request.headers.get("if-match"))
    return Response(status_code=201 if created else 204)


async def retrieve(request: Request) -> Response:
    """GET /things/{id}: the Enriched TD."""
    desk = desk_of(request)
    desk.may_read(request)
    found = await in_thread(_present, desk.catalog, _iri(request.path_params["thing"]))
    tag = _tag(found)
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers={"ETag": tag})
    return JSONResponse(found, media_type=TD_JSON, headers={"ETag": tag})


async def changed(request: Request) -> Response:
    """PATCH /things/{id}: JSON Merge Patch."""
    desk, thing = desk_of(request), _iri(request.path_params["thing"])
    desk.may_write(request)
    patch = await _json(request, (PATCH_JSON,))
    if patch.get("id", thing) != thing:
        raise Refusal(400, "The id cannot change", f"{patch['id']!r} is another thing.")
    await in_thread(_patch, desk, thing, patch, request.headers.get("if-match"))
    return Response(status_code=204)


async def removed(request: Request) -> Response:
    """DELETE /things/{id}."""
    desk, thing = desk_of(request), _iri(request.path_params["thing"])
    desk.may_write(request)
    await in_thread(_remove, desk, thing, request.headers.get("if-match"))
    return Response(status_code=204)


def enriched(catalog: Catalog, thing: Iri) -> dict[str, Any]:
    """The Thing Description with what the directory knows of its registration.

    Raises:
        UsageError: nothing is known about the thing.
    """
    found = catalog.get_thing(thing)
    found["@context"] = [*found["@context"], CONTEXT]
    if registration := registered(catalog.store, thing):
        found["registration"] = registration.to_json(now())
    return found


def purge(catalog: Catalog) -> int:
    """Forget the things whose registration is over; gives how many there were."""
    gone = list(expired(catalog.store, now()))
    for thing in gone:
        catalog.remove_thing(thing)
    return len(gone)


def _present(catalog: Catalog, thing: Iri) -> dict[str, Any]:
    """The Enriched TD of a thing that is there and not expired."""
    registration = registered(catalog.store, thing)
    known = any(catalog.store.match(thing, RDF + "type", _THING))
    if not known or (registration is not None and registration.over(now())):
        raise Refusal(404, "No such thing", f"{thing} is not in the catalogue.")
    return enriched(catalog, thing)


def _put(desk: Desk, body: dict[str, Any], *, new: bool = False, match: str | None = None) -> bool:
    """Put a description in; gives whether it is a new one."""
    asked = body.pop("registration", None)
    triples, faults = checked(body | ({} if asked is None else {"registration": asked}))
    if faults:
        raise Refusal(
            400,
            "This is no valid Thing Description",
            f"{faults[0]['field']}: {faults[0]['description']}",
            validationErrors=faults,
        )
    catalog, thing = desk.catalog, Iri(body["id"])
    before = None if new else registered(catalog.store, thing)
    created = new or not any(catalog.store.match(thing, RDF + "type", _THING))
    if match is not None:
        _matches(catalog, thing, match)
    if created and any(catalog.store.match(thing, RDF + "type")):
        raise Refusal(409, "The id names something else", f"{thing} is no thing here.")
    try:
        registration = renewed(None if created else before, asked, now())
        catalog.put_thing(body, registration.triples(thing), triples=triples)
    except UsageError as error:
        fault = {"field": "(root)", "description": str(error)}
        raise Refusal(
            400, "This is no valid Thing Description", str(error), validationErrors=[fault]
        ) from None
    return created


def _patch(desk: Desk, thing: Iri, patch: dict[str, Any], match: str | None) -> None:
    present = json.loads(json.dumps(_present(desk.catalog, thing)))
    if match is not None:
        _matches(desk.catalog, thing, match)
    known = present.pop("registration", None)
    present["@context"] = present["@context"][:-1]
    asked = patch.pop("registration", None)
    body = merged(present, patch)
    if asked is not None:
        kept = {name: known[name] for name in ("ttl", "expires") if name in (known or {})}
        body["registration"] = merged(kept, asked)
    body.setdefault("id", str(thing))
    _put(desk, body)


def _remove(desk: Desk, thing: Iri, match: str | None) -> None:
    _present(desk.catalog, thing)
    if match is not None:
        _matches(desk.catalog, thing, match)
    desk.catalog.remove_thing(thing)


def _matches(catalog: Catalog, thing: Iri, match: str) -> None:
    if match.strip() != "*" and _tag(_present(catalog, thing)) not in match:
        raise Refusal(412, "It has changed since", f"The entity tag of {thing} is another now.")


def _tag(description: dict[str, Any]) -> str:
    """An entity tag of what a description says, whenever it is retrieved."""
    registration = dict(description.get("registration", {}))
    registration.pop("retrieved", None)
    text = json.dumps(description | {"registration": registration}, sort_keys=True)
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def _iri(text: str) -> Iri:
    if not is_iri(text):
        raise Refusal(400, "This is no IRI", f"{text!r} cannot be the id of a thing.")
    return Iri(text)


async def _json(request: Request, kinds: tuple[str, ...]) -> dict[str, Any]:
    """The body, a JSON object."""
    kind, _ = media_type(request.headers.get("content-type", ""))
    if kind not in kinds:
        raise Refusal(
            415, "Another format is needed", f"{kind or 'none'} came, {', '.join(kinds)} may."
        )
    try:
        body = json.loads(await request.body(), parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "This is no JSON", str(error)) from None
    if not isinstance(body, dict):
        raise Refusal(400, "This is no JSON object", f"A {type(body).__name__} came.")
    return body


def _finite(text: str) -> float:
    found = float(text)
    if not math.isfinite(found):
        raise ValueError(f"{text} is too large for a number")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")
