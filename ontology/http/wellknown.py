"""The directory's own Thing Description, at the well-known address (RFC 8615)."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ontology.http.desk import Desk, desk_of
from ontology.http.events import KINDS
from ontology.http.things import CONTEXT, LD_JSON, PATCH_JSON, TD_JSON

__all__ = ["itself"]

_ID = {"type": "string", "format": "iri-reference"}
_QUERY = {"query": {"type": "string"}}


async def itself(request: Request) -> Response:
    """GET /.well-known/wot: what this directory is and can do."""
    body = _description(desk_of(request), str(request.base_url))
    return JSONResponse(body, media_type=TD_JSON)


def _description(desk: Desk, base: str) -> dict[str, Any]:
    writes = desk.token is not None and not desk.opened.read_only
    reading = "bearer" if desk.private else "open"
    found: dict[str, Any] = {
        "@context": ["https://www.w3.org/2022/wot/td/v1.1", CONTEXT],
        "@type": "ThingDirectory",
        "id": "urn:tinyfleet:directory",
        "title": "tinyfleet catalogue",
        "base": base,
        "securityDefinitions": {
            "open": {"scheme": "nosec"},
            "bearer": {"scheme": "bearer", "in": "header"},
        },
        "security": reading,
        "properties": {
            "things": {
                "description": "All Thing Descriptions, by id; paged",
                "readOnly": True,
                "uriVariables": {
                    "offset": {"type": "integer", "minimum": 0, "default": 0},
                    "limit": {"type": "integer", "minimum": 1},
                    "format": {"type": "string", "enum": ["array", "collection"]},
                },
                "forms": [_form("things{?offset,limit,format}", "GET", LD_JSON)],
            }
        },
        "actions": {
            "retrieveThing": _action("Retrieve a Thing Description", "things/{id}", "GET", TD_JSON),
            "searchJSONPath": _search("JSONPath (RFC 9535)", "search/jsonpath{?query}"),
            "searchSPARQL": _search("SPARQL 1.1", "search/sparql{?query}"),
        },
        "events": {
            kind.replace("_c", "C").replace("_u", "U").replace("_d", "D"): {
                "uriVariables": {"diff": {"type": "boolean"}},
                "data": {"type": "object"},
                "forms": [
                    {
                        "href": f"events/{kind}{{?diff}}",
                        "op": "subscribeevent",
                        "subprotocol": "sse",
                        "contentType": "text/event-stream",
                    }
                ],
            }
            for kind in KINDS
        },
    }
    if writes:
        found["actions"] |= {
            "createThing": _writing("Create a thing with an id", "PUT", TD_JSON),
            "createAnonymousThing": _writing("Create a thing", "POST", TD_JSON, "things"),
            "updateThing": _writing("Replace a description", "PUT", TD_JSON),
            "partiallyUpdateThing": _writing("JSON Merge Patch", "PATCH", PATCH_JSON),
            "deleteThing": _writing("Forget a thing", "DELETE", TD_JSON),
        }
    return found


def _form(href: str, method: str, kind: str) -> dict[str, Any]:
    return {"href": href, "htv:methodName": method, "response": {"contentType": kind}}


def _action(text: str, href: str, method: str, kind: str) -> dict[str, Any]:
    form = _form(href, method, kind) | {"op": "invokeaction"}
    return {
        "description": text,
        "safe": True,
        "uriVariables": {"id": _ID},
        "forms": [form],
    }


def _search(text: str, href: str) -> dict[str, Any]:
    form = _form(href, "GET", "application/json") | {"op": "invokeaction"}
    return {"description": text, "safe": True, "uriVariables": _QUERY, "forms": [form]}


def _writing(text: str, method: str, kind: str, href: str = "things/{id}") -> dict[str, Any]:
    form = {"href": href, "htv:methodName": method, "contentType": kind, "op": "invokeaction"}
    found: dict[str, Any] = {"description": text, "forms": [form | {"security": "bearer"}]}
    return found | ({"uriVariables": {"id": _ID}} if "{" in href else {})
