"""Which media type a client wants (RFC 9110, section 12.5.1)."""

from collections.abc import Sequence

__all__ = ["choose", "media_type"]


def choose(accept: str, offers: Sequence[str]) -> str | None:
    """The offer that an Accept header likes best; the first of equals; None where it likes none.

    >>> choose("text/csv;q=0.5, application/*", ["text/csv", "application/json"])
    'application/json'
    """
    ranges = [_range(part) for part in accept.split(",") if part.strip()] or [("*/*", 1.0)]
    best, most = None, 0.0
    for offer in offers:
        quality = _quality(offer, ranges)
        if quality > most:
            best, most = offer, quality
    return best


def media_type(content_type: str) -> tuple[str, str]:
    """Media type and charset of a Content-Type header; a charset that is not said is empty."""
    kind, _, rest = content_type.partition(";")
    charset = ""
    for part in rest.split(";"):
        name, _, value = part.partition("=")
        if name.strip().lower() == "charset":
            charset = value.strip().strip('"').lower()
    return kind.strip().lower(), charset


def _range(part: str) -> tuple[str, float]:
    kind, *parameters = (piece.strip() for piece in part.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return kind.lower(), max(0.0, min(1.0, float(value)))
            except ValueError:
                return kind.lower(), 0.0
    return kind.lower(), 1.0


def _quality(offer: str, ranges: list[tuple[str, float]]) -> float:
    """By the most specific range that has the offer."""
    for wanted in (offer, offer.partition("/")[0] + "/*", "*/*"):
        found = [quality for kind, quality in ranges if kind == wanted]
        if found:
            return max(found)
    return 0.0
