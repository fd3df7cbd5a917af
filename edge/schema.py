"""What one field of a message may hold: a check for each annotation that messages use."""

from collections.abc import Callable
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError
from edge.gaps import from_gaps
from edge.topics import check_digest, check_name
from edge.wire import MessageError

__all__ = [
    "Check",
    "Codes",
    "Digest",
    "Floats",
    "Indices",
    "Matrix",
    "Name",
    "Result",
    "check_for",
]

Check = Callable[[Any], Any]

Name = Annotated[str, "name"]
"""One level of a topic: 1 to 64 letters, digits, `.`, `_` or `-`."""
Digest = Annotated[str, "digest"]
"""A SHA-256 in 64 lower-case hex digits."""
Floats = Annotated[NDArray[np.float32], "floats"]
"""float32 [n]."""
Codes = Annotated[NDArray[np.int8], "codes"]
"""int8 [n]."""
Indices = Annotated[NDArray[np.uint32], "indices"]
"""uint32 [m], strictly increasing; on the wire the bytes of `edge.gaps`."""
Matrix = Annotated[NDArray[np.float32], "matrix"]
"""float32 [n, width]."""
Result = Annotated[dict[str, float | int | str | bytes], "result"]
"""Named outcomes of a command."""

MAX_INT = 2**63 - 1


def _fail(value: object, wanted: str) -> MessageError:
    return MessageError(f"{str(value)[:60]!r} came where {wanted} is needed")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _fail(value, "a text")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= MAX_INT:
        raise _fail(value, "a whole number from 0")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _fail(value, "a number")
    return float(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _fail(value, "true or false")
    return value


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise _fail(value, "a list of names")
    return tuple(_name(entry) for entry in value)


def _name(value: Any) -> str:
    try:
        return check_name(_text(value))
    except UsageError:
        raise _fail(value, "a name of letters, digits, '.', '_' or '-'") from None


def _digest(value: Any) -> str:
    try:
        return check_digest(_text(value))
    except UsageError:
        raise _fail(value, "a SHA-256 in hex") from None


def _array(value: Any, kind: str, ndim: int) -> NDArray[Any]:
    if not isinstance(value, np.ndarray) or value.dtype.str != kind or value.ndim != ndim:
        came = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else value
        raise _fail(came, f"a {np.dtype(kind).name} array of {ndim} dimensions")
    return value


def _indices(value: Any) -> NDArray[np.uint32]:
    indices = from_gaps(value) if isinstance(value, bytes) else _array(value, "<u4", 1)
    if bool((indices[1:] <= indices[:-1]).any()):
        raise MessageError("sparse indices are not strictly increasing")
    return indices


def _meters(value: Any) -> dict[str, float]:
    if not isinstance(value, dict):
        raise _fail(value, "a map of numbers")
    return {_text(key): _number(entry) for key, entry in value.items()}


def _result(value: Any) -> dict[str, float | int | str | bytes]:
    if not isinstance(value, dict):
        raise _fail(value, "a map of results")
    for entry in value.values():
        wide = isinstance(entry, int) and not -MAX_INT <= entry <= MAX_INT
        if wide or not isinstance(entry, int | float | str | bytes):
            raise _fail(entry, "a number, a text or bytes")
    return {_text(key): entry for key, entry in value.items()}


_MARKED: dict[str, Check] = {
    "name": _name,
    "digest": _digest,
    "floats": lambda value: _array(value, "<f4", 1),
    "codes": lambda value: _array(value, "|i1", 1),
    "matrix": lambda value: _array(value, "<f4", 2),
    "indices": _indices,
    "result": _result,
}
_PLAIN: dict[Any, Check] = {
    str: _text,
    int: _count,
    float: _number,
    bool: _flag,
    tuple[Name, ...]: _names,
    dict[str, float]: _meters,
}


def check_for(annotation: Any) -> Check:
    """The check of a field with this annotation.

    Returns:
        A function that gives the value back in its Python type, or raises MessageError.
    """
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _MARKED[annotation.__metadata__[0]]
    if origin is Literal:
        return _one_of(arguments)
    if origin in (Union, UnionType):
        inner = check_for(next(part for part in arguments if part is not NoneType))
        return lambda value: None if value is None else inner(value)
    raise TypeError(f"no check for a field of {annotation}")


def _one_of(allowed: tuple[Any, ...]) -> Check:
    def check(value: Any) -> Any:
        if not isinstance(value, str) or value not in allowed:
            raise _fail(value, "one of " + ", ".join(map(repr, allowed)))
        return value

    return check
