"""Pages that a person reads: the fleet, a device, a model with its lineage, and the query page."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from edge.errors import UsageError
from ontology.catalog import Catalog
from ontology.http.desk import desk_of, in_thread
from ontology.http.lineage import lineage_svg
from ontology.http.problems import Refusal
from ontology.http.views import device_view, fleet_view, model_view, models_view
from ontology.named import named_queries
from ontology.namespaces import MODEL_PREFIX, PREFIXES, shorten

__all__ = ["device", "fleet", "lineage", "model", "models", "query_page"]

_TEMPLATES = Path(__file__).parent / "templates"


async def fleet(request: Request) -> Response:
    """GET /: the fleet."""
    return await _page(request, "fleet.html", fleet_view, _offset(request))


async def device(request: Request) -> Response:
    """GET /devices/{name or IRI}."""
    return await _page(request, "device.html", device_view, request.path_params["thing"])


async def models(request: Request) -> Response:
    """GET /models."""
    return await _page(request, "models.html", models_view, _offset(request))


async def model(request: Request) -> Response:
    """GET /models/{name, digest or IRI}."""
    return await _page(request, "model.html", model_view, request.path_params["model"])


async def lineage(request: Request) -> Response:
    """GET /models/{model}/lineage.svg: what it was made from, and what was made from it."""
    desk = desk_of(request)
    desk.may_read(request)
    picture = await _found(lineage_svg, desk.catalog, request.path_params["model"])
    return Response(picture, media_type="image/svg+xml")


async def query_page(request: Request) -> Response:
    """The page with an editor for queries."""
    desk_of(request).may_read(request)
    view = {
        "queries": list(named_queries().values()),
        "prefixes": PREFIXES,
        "deadline": desk_of(request).pool.deadline,
        "max_rows": desk_of(request).pool.max_rows,
    }
    return HTMLResponse(_environment().get_template("query.html").render(view))


async def _page(
    request: Request, template: str, view: Callable[..., dict[str, Any]], *arguments: Any
) -> Response:
    desk = desk_of(request)
    desk.may_read(request)
    found = await _found(view, desk.catalog, *arguments)
    return HTMLResponse(_environment().get_template(template).render(found))


async def _found(view: Callable[..., Any], catalog: Catalog, *arguments: Any) -> Any:
    try:
        return await in_thread(view, catalog, *arguments)
    except UsageError as error:
        more: dict[str, Any] = {"hint": error.hint} if error.hint else {}
        raise Refusal(404, "Nothing is here", error.message, **more) from None


def _offset(request: Request) -> int:
    text = request.query_params.get("offset", "0")
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise Refusal(400, "Not a number", f"offset is {text!r}.")
    return int(text)


@cache
def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.filters |= {
        "short": lambda iri: shorten(str(iri)),
        "device_path": lambda iri: f"/devices/{quote(str(iri), safe=':')}",
        "model_path": lambda iri: f"/models/{quote(str(iri).removeprefix(MODEL_PREFIX), safe='')}",
        "digest": lambda iri: str(iri).removeprefix(MODEL_PREFIX)[:12],
        "number": lambda value: "-" if value is None else f"{value:,}",
        "clock": lambda text: str(text or "")[:19].replace("T", " "),
    }
    return made
