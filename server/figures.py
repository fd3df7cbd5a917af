"""Measured numbers with their targets, and how they are printed."""

import json
import operator
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

__all__ = ["Figure", "figure", "show"]

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
}


@dataclass(frozen=True)
class Figure:
    """One measured number (None: it could not be); `holds` is None without a target."""

    name: str
    value: float | None
    unit: str
    target: str
    holds: bool | None
    note: str


def figure(name: str, value: float | None, unit: str, target: str = "", note: str = "") -> Figure:
    """Make a figure; `target` is such as "<= 0.3", or empty."""
    if not target or value is None:
        return Figure(name, value, unit, target, None, note)
    comparison, bound = target.split()
    return Figure(name, value, unit, target, _COMPARISONS[comparison](value, float(bound)), note)


def show(figures: Iterable[Figure], echo: Callable[[str], None], *, as_json: bool) -> bool:
    """Print a line for each as it comes, or one JSON document; False if a target was missed."""
    found = []
    for entry in figures:
        found.append(entry)
        if not as_json:
            verdict = {True: "holds", False: "MISSED", None: ""}[entry.holds]
            value = "-" if entry.value is None else f"{entry.value:,.6g}"
            line = f"{entry.name:28} {value:>14} {entry.unit:14} {entry.target:12} "
            echo(f"{line}{verdict:7} {entry.note}".rstrip())
    if as_json:
        echo(json.dumps({"figures": [asdict(entry) for entry in found]}, indent=2))
    return all(entry.holds is not False for entry in found)
