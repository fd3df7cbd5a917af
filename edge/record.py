"""Frozen dataclasses that go over the wire: every field checked, both ways."""

from dataclasses import dataclass, fields
from types import NoneType
from typing import Any, ClassVar, Self, get_args, get_type_hints

import numpy as np

from edge.gaps import to_gaps
from edge.schema import Check, check_for
from edge.wire import MessageError, dumps

__all__ = ["Record", "plain"]


@dataclass(frozen=True, eq=False)
class Record:
    """Fields with a check each; equal where the bytes are equal."""

    added: ClassVar[frozenset[str]] = frozenset()
    """Fields that came to a message later: left out where they hold their default."""

    def to_map(self) -> dict[str, Any]:
        """The fields by name, each checked; without those of `added` at their default."""
        checks = _checks(type(self))
        found = {name: _checked(type(self), name, checks[name], getattr(self, name))
                 for name in checks}  # fmt: skip
        usual = {part.name: part.default for part in fields(self) if part.name in self.added}
        return {name: value for name, value in found.items()
                if name not in usual or type(value) is not type(usual[name])
                or value != usual[name]}  # fmt: skip

    @classmethod
    def from_map(cls, found: Any) -> Self:
        """Build from a decoded map that has the fields of this class; those of `added` may lack.

        Raises:
            MessageError: a field is missing, unknown or of another type.
        """
        checks = _checks(cls)
        keys = found.keys() if isinstance(found, dict) else set()
        missing, extra = sorted(checks.keys() - cls.added - keys), sorted(keys - checks.keys())
        if not isinstance(found, dict) or missing or extra:
            raise MessageError(f"{cls.__name__}: fields missing {missing}, unknown {extra}"[:300])
        return cls(**{name: _checked(cls, name, checks[name], found[name])
                      for name in checks if name in found})  # fmt: skip

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._bytes() == other._bytes()

    def __hash__(self) -> int:
        return hash(self._bytes())

    def _bytes(self) -> bytes:
        return dumps(plain(self.to_map()))


def plain(found: dict[str, Any]) -> dict[str, Any]:
    """The same map with records inside it as maps, and indices as gaps."""
    return {key: _plain(value) for key, value in found.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return plain(value.to_map())
    indices = isinstance(value, np.ndarray) and value.dtype == np.uint32
    return to_gaps(value) if indices else value


_known: dict[Any, dict[str, Check]] = {}


def _checks(cls: type[Record]) -> dict[str, Check]:
    if cls not in _known:
        hints = get_type_hints(cls, include_extras=True)
        _known[cls] = {part.name: _check(hints[part.name]) for part in fields(cls)}
    return _known[cls]


def _check(annotation: Any) -> Check:
    parts = get_args(annotation)
    if NoneType in parts and any(isinstance(part, type) and issubclass(part, Record)
                                 for part in parts):  # fmt: skip
        inner = _check(next(part for part in parts if part is not NoneType))
        return lambda value: None if value is None else inner(value)
    if isinstance(annotation, type) and issubclass(annotation, Record):
        record: type[Record] = annotation
        return lambda value: value if isinstance(value, record) else record.from_map(value)
    return check_for(annotation)


def _checked(cls: type[Record], name: str, check: Check, value: Any) -> Any:
    try:
        return check(value)
    except MessageError as error:
        raise MessageError(f"{cls.__name__}.{name}: {error.message}.") from None
