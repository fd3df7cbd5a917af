"""Options as typed on a command line, held against the types of what takes them."""

import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal, Union

from edge.errors import UsageError

__all__ = ["check_types"]

_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def check_types(made: Callable[..., Any], options: Mapping[str, Any], what: str) -> None:
    """Refuse options of another type than a class takes.

    Args:
        made: the class; the annotations of its constructor say what is taken.
        options: by name; those without an annotation pass.
        what: for the message.

    Raises:
        UsageError: a value is of another type.
    """
    hints = typing.get_type_hints(made.__init__)
    for name, value in options.items():
        allowed = _allowed(hints.get(name, Any))
        if allowed is not None and not any(_is(value, kind) for kind in allowed):
            wanted = " or ".join(dict.fromkeys(_said(kind) for kind in allowed))
            raise UsageError(f"{name} of {what} is {value!r}.", hint=wanted)


def _allowed(hint: Any) -> tuple[Any, ...] | None:
    """The plain types and values that a hint allows; None where it has others, too."""
    origin = typing.get_origin(hint)
    if origin is Literal:
        return typing.get_args(hint)
    if origin in (Union, types.UnionType):
        parts = [_allowed(part) for part in typing.get_args(hint)]
        if any(part is None for part in parts):
            return None
        return tuple(kind for part in parts if part is not None for kind in part)
    return (hint,) if hint in (*_NAMES, type(None)) else None


def _is(value: Any, kind: Any) -> bool:
    if kind not in (*_NAMES, type(None)):
        return bool(value == kind)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is kind


def _said(kind: Any) -> str:
    return _NAMES.get(kind, "null" if kind is type(None) else repr(kind))
