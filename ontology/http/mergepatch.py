"""JSON Merge Patch (RFC 7396)."""

from typing import Any

__all__ = ["difference", "merged"]


def merged(target: Any, patch: Any) -> Any:
    """The target with a patch applied; neither is changed.

    >>> merged({"a": 1, "b": {"c": 2}}, {"a": None, "b": {"d": 3}})
    {'b': {'c': 2, 'd': 3}}
    """
    if not isinstance(patch, dict):
        return patch
    found = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = merged(found.get(name), value)
    return found


def difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The patch that makes one object another; nulls inside arrays stay, others cannot be said.

    >>> difference({"a": 1, "b": {"c": 2}}, {"b": {"c": 2, "d": 3}})
    {'a': None, 'b': {'d': 3}}
    """
    patch: dict[str, Any] = {name: None for name in before if name not in after}
    for name, value in after.items():
        old = before.get(name)
        if name in before and old == value:
            continue
        both = isinstance(old, dict) and isinstance(value, dict)
        patch[name] = difference(old, value) if both else value  # type: ignore[arg-type]
    return patch
