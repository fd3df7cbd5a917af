"""Errors as problem documents (RFC 9457): every refusal says what came, why not, and what to do."""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from edge.errors import QueryError, TinyfleetError, UsageError
from ontology.http.pool import Busy, QueryDied, QueryTooLong
from ontology.remote import RemoteUnavailable

__all__ = ["HANDLERS", "Refusal", "problem"]

_STATUS: tuple[tuple[type[TinyfleetError], int, str], ...] = (
    (Busy, 503, "Too many queries at once"),
    (QueryTooLong, 503, "The query took too long"),
    (QueryDied, 503, "The query took too much memory"),
    (RemoteUnavailable, 502, "The store behind does not answer"),
    (QueryError, 400, "The query is not accepted"),
    (UsageError, 400, "The request is not accepted"),
    (TinyfleetError, 500, "Something failed here"),
)
_TITLES = {404: "Nothing is here", 405: "This cannot be done here"}


class Refusal(Exception):
    """A request that is refused.

    Args:
        status: HTTP status code.
        title: the kind of problem.
        detail: what came and what is allowed.
        headers: header fields of the answer.
        more: further members of the document.
    """

    def __init__(
        self,
        status: int,
        title: str,
        detail: str = "",
        *,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail or title)
        self.status, self.title, self.detail = status, title, detail
        self.headers, self.more = headers, more


def problem(
    status: int, title: str, detail: str = "", headers: dict[str, str] | None = None, **more: Any
) -> Response:
    """A problem document; JSON, and so UTF-8."""
    body = {"type": "about:blank", "title": title, "status": status}
    body |= {"detail": detail} if detail else {}
    return JSONResponse(body | more, status, headers=headers, media_type="application/problem+json")


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return problem(error.status, error.title, error.detail, error.headers, **error.more)


def _ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, TinyfleetError)
    status, title = next((s, t) for kind, s, t in _STATUS if isinstance(error, kind))
    headers = {"Retry-After": "1"} if isinstance(error, Busy) else None
    more = {"hint": error.hint} if error.hint else {}
    return problem(status, title, error.message, headers, **more)


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    title = _TITLES.get(error.status_code, error.detail)
    detail = f"{request.method} {request.url.path}"
    return problem(error.status_code, title, detail, dict(error.headers or {}))


def _failed(request: Request, error: Exception) -> Response:
    return problem(500, "Something failed here", "The server's log says what.")


HANDLERS: Any = {
    Refusal: _refused,
    TinyfleetError: _ours,
    HTTPException: _http,
    Exception: _failed,
}
