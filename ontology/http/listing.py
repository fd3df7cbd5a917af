"""The list of things, page by page; search, events, and the directory's own description."""

from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from ontology.catalog import Catalog
from ontology.http.desk import desk_of, in_thread, now
from ontology.http.events import KINDS
from ontology.http.problems import Refusal
from ontology.http.things import CONTEXT, LD_JSON, enriched
from ontology.registration import registered
from ontology.terms import Iri

__all__ = ["events", "jsonpath", "things"]

MAX_PAGE = 1_000
_PARAMETERS = {"offset", "limit", "format", "sort_by", "sort_order"}
_PAGE = "SELECT ?thing WHERE {{ ?thing a td:Thing }} ORDER BY ?thing LIMIT {limit} OFFSET {offset}"
_COUNT = "SELECT (COUNT(*) AS ?count) WHERE { ?thing a td:Thing }"


async def things(request: Request) -> Response:
    """GET /things: an array of Enriched TDs by id; `offset`, `limit` and `format=collection`."""
    desk = desk_of(request)
    desk.may_read(request)
    asked = request.query_params
    if wrong := set(asked) - _PARAMETERS:
        raise Refusal(400, "An unknown parameter", f"{', '.join(sorted(wrong))} came.")
    if asked.get("sort_by", "id") != "id" or asked.get("sort_order", "asc") != "asc":
        raise Refusal(501, "Another order is not supported", "Things are listed by id, ascending.")
    offset = _number(asked.get("offset"), "offset", 0, 0)
    limit = min(MAX_PAGE, _number(asked.get("limit"), "limit", MAX_PAGE, 1))
    whole = asked.get("format", "array")
    if whole not in ("array", "collection"):
        raise Refusal(400, "An unknown format", f"format is array or collection, not {whole!r}.")
    total, page = await in_thread(_page, desk.catalog, offset, limit)
    named = {} if whole == "array" else {"format": whole}
    following = None
    if offset + limit < total:
        following = "/things?" + urlencode({"offset": offset + limit, "limit": limit} | named)
    headers = {"Link": f'</things>; rel="canonical"; etag={desk.etag()}'}
    if following:
        headers["Link"] = f'<{following}>; rel="next", ' + headers["Link"]
    if whole == "array":
        return JSONResponse(page, media_type=LD_JSON, headers=headers)
    body: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "ThingCollection",
        "@id": f"/things?{request.url.query}",
        "total": total,
        "members": page,
    }
    body |= {"next": following} if following else {}
    return JSONResponse(body, media_type=LD_JSON, headers=headers)


async def jsonpath(request: Request) -> Response:
    """GET /search/jsonpath?query=: values in the array of all TDs."""
    desk = desk_of(request)
    desk.may_read(request)
    found = request.query_params.getlist("query")
    if len(found) != 1:
        raise Refusal(400, "One query is needed", f"{len(found)} came, as `query=…`.")
    version = await in_thread(lambda: desk.opened.version)
    media, content = await in_thread(desk.pool.ask, found[0], version=version, kind="jsonpath")
    return Response(content, media_type=media)


async def events(request: Request) -> Response:
    """GET /events, /events/{type}: Server-Sent Events; `diff=true` has what changed."""
    desk = desk_of(request)
    desk.may_read(request)
    kind = request.path_params.get("kind")
    if kind is not None and kind not in KINDS:
        raise Refusal(404, "No such events", f"{kind!r} is none of {', '.join(KINDS)}.")
    if desk.events.full():
        raise Refusal(503, "Too many listen", headers={"Retry-After": "30"})
    diff = request.query_params.get("diff", "false") == "true"
    last = request.headers.get("last-event-id")
    return StreamingResponse(
        desk.events.listen(kind, diff=diff, last=last),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def _page(catalog: Catalog, offset: int, limit: int) -> tuple[int, list[dict[str, Any]]]:
    total = next(iter(catalog.query(_COUNT)))["count"]
    rows = catalog.query(_PAGE.format(limit=limit, offset=offset)).rows
    names = [Iri(str(row[0])) for row in rows]
    moment = now()
    kept = []
    for name in names:
        registration = registered(catalog.store, name)
        if registration is None or not registration.over(moment):
            kept.append(enriched(catalog, name))
    return int(total), kept


def _number(text: str | None, name: str, default: int, least: int) -> int:
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 12 or int(text) < least:
        raise Refusal(400, "Not a number", f"{name} is {text!r}, it may be {least} or more.")
    return int(text)
