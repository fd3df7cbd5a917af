"""What every benchmark shares: figures, targets, and how they are printed."""

import argparse
import json
import operator
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

COMPARISONS = {"<=": operator.le, ">=": operator.ge, "==": operator.eq}


@dataclass(frozen=True)
class Figure:
    """One measured number, and whether its target holds (None: no target)."""

    name: str
    value: float
    unit: str
    target: str
    holds: bool | None
    note: str


def figure(name: str, value: float, unit: str, target: str = "", note: str = "") -> Figure:
    """Make a figure; `target` is such as "<= 0.3", or empty."""
    if not target:
        return Figure(name, value, unit, target, None, note)
    comparison, bound = target.split()
    return Figure(name, value, unit, target, COMPARISONS[comparison](value, float(bound)), note)


def main(measure: Callable[[], Iterable[Figure]], description: str) -> int:
    """Run a benchmark: a line a figure, or one JSON document with --json.

    Returns:
        0 if every target holds, else 1.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="print JSON for scripts")
    as_json = parser.parse_args().json
    figures = []
    for entry in measure():
        figures.append(entry)
        if not as_json:
            verdict = {True: "holds", False: "MISSED", None: ""}[entry.holds]
            line = f"{entry.name:28} {entry.value:>14,.6g} {entry.unit:14} {entry.target:12} "
            print(f"{line}{verdict:7} {entry.note}".rstrip(), flush=True)
    if as_json:
        print(json.dumps({"figures": [asdict(entry) for entry in figures]}, indent=2))
    return int(any(entry.holds is False for entry in figures))
