"""SPARQL 1.1 Protocol (W3C, 2013): queries of anybody, updates of who has the token."""

from collections.abc import Callable, Sequence
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from ontology.http.accept import choose, media_type
from ontology.http.desk import desk_of, in_thread
from ontology.http.pages import query_page
from ontology.http.problems import Refusal
from ontology.http.written import NotAcceptable
from ontology.named import get_query, named_queries

__all__ = ["endpoint", "named", "named_list", "search"]

FORM = "application/x-www-form-urlencoded"
QUERY, UPDATE = "application/sparql-query", "application/sparql-update"
_DATASET = ("default-graph-uri", "named-graph-uri", "using-graph-uri", "using-named-graph-uri")


async def endpoint(request: Request) -> Response:
    """`GET ?query=`, or POST of a form, of a query or of an update; without a query, the page."""
    desk_of(request).may_read(request)
    kind, text = await _operation(request)
    if kind == "page":
        return await query_page(request)
    if kind == "update":
        return await _update(request, text)
    return await answer(request, text)


async def search(request: Request) -> Response:
    """The same for WoT Discovery's search: no updates, and JSON where a client does not care."""
    desk_of(request).may_read(request)
    kind, text = await _operation(request)
    if kind != "query":
        raise Refusal(400, "No query came", "/search/sparql?query=SELECT… answers queries.")
    return await answer(request, text, plain=True)


async def answer(request: Request, text: str, *, plain: bool = False) -> Response:
    """The answer to a query, from a process that is killed at the deadline."""
    desk = desk_of(request)
    desk.may_read(request)
    accept = request.headers.get("accept", "")
    version = await in_thread(lambda: desk.opened.version)
    return await _sent(lambda: desk.pool.ask(text, version=version, accept=accept, plain=plain))


async def _sent(answered: Callable[[], tuple[str, bytes]]) -> Response:
    """An answer, its media type first, that a thread gives."""
    try:
        media, content = await in_thread(answered)
    except NotAcceptable as error:
        raise Refusal(406, "No such format", error.message, hint=error.hint) from None
    return Response(content, media_type=media, headers={"Vary": "Accept"})


async def _update(request: Request, text: str) -> Response:
    desk = desk_of(request)
    desk.may_write(request)
    await in_thread(desk.catalog.update, text)
    return Response(status_code=204)


async def named_list(request: Request) -> Response:
    """The named queries with their parameters and texts."""
    from starlette.responses import JSONResponse

    desk_of(request).may_read(request)
    return JSONResponse(
        [
            {
                "name": q.name,
                "title": q.title,
                "description": q.description,
                "parameters": [{"name": n, **p._asdict()} for n, p in q.parameters.items()],
                "text": q.text,
            }
            for q in named_queries().values()
        ]
    )


async def named(request: Request) -> Response:
    """The answer to a named query; its parameters are those of the address."""
    from ontology.http.written import write

    desk = desk_of(request)
    desk.may_read(request)
    query = get_query(request.path_params["name"])
    given = request.query_params.multi_items()
    if len(dict(given)) != len(given):
        raise Refusal(400, "A parameter came twice", "Each parameter is given once.")
    accept, most = request.headers.get("accept", ""), desk.pool.max_rows
    return await _sent(
        lambda: write(desk.catalog.query(query.name, max_rows=most, **dict(given)), accept)
    )


async def _operation(request: Request) -> tuple[str, str]:
    """`query`, `update` or `page`, and the text.

    Raises:
        Refusal: it is none of the operations of the protocol.
    """
    asked = _pairs(request.url.query)
    if request.method in ("GET", "HEAD"):
        return _of_get(asked, request.headers.get("accept", ""))
    kind, charset = media_type(request.headers.get("content-type", ""))
    if charset not in ("", "utf-8", "utf8"):
        raise Refusal(415, "Not UTF-8", f"The charset is {charset}; the protocol has UTF-8.")
    body = await request.body()
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise Refusal(400, "Not UTF-8", str(error)) from None
    if kind == FORM:
        return _of_form([*asked, *_pairs(text)])
    if kind not in (QUERY, UPDATE):
        raise Refusal(
            415,
            "No SPARQL came",
            f"The Content-Type is {kind or 'missing'}; it may be {FORM}, {QUERY} or {UPDATE}.",
        )
    _without_dataset(asked)
    if {name for name, _ in asked} & {"query", "update"}:
        raise Refusal(400, "Two operations came", "One is in the address, one in the body.")
    return ("query" if kind == QUERY else "update"), text


def _of_get(asked: Sequence[tuple[str, str]], accept: str) -> tuple[str, str]:
    _without_dataset(asked)
    names = [name for name, _ in asked]
    if "update" in names:
        raise Refusal(400, "Updates are posted", f"POST with {UPDATE}, or a form with `update`.")
    if names.count("query") != 1:
        if not asked and choose(accept, ("application/json", "text/html")) == "text/html":
            return "page", ""
        raise Refusal(400, "One query is needed", f"{names.count('query')} came, as `query=…`.")
    return "query", dict(asked)["query"]


def _of_form(asked: Sequence[tuple[str, str]]) -> tuple[str, str]:
    _without_dataset(asked)
    found = [(name, text) for name, text in asked if name in ("query", "update")]
    if len(found) != 1:
        raise Refusal(400, "One operation is needed", f"{len(found)} came, as `query` or `update`.")
    return found[0]


def _without_dataset(asked: Sequence[tuple[str, str]]) -> None:
    if named := [name for name, _ in asked if name in _DATASET]:
        raise Refusal(
            400, "There is one graph", f"{named[0]} names another; the catalogue is one graph."
        )


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=50)
    except (ValueError, UnicodeDecodeError) as error:
        raise Refusal(400, "Not a form", str(error)) from None
