"""A parity report as one page to read."""

import math
from collections.abc import Iterator
from typing import Any

from server.export.about import About
from server.export.bounds import (
    FLOAT_TOLERANCE,
    INT8_AGREEMENT,
    INT8_SQNR,
    SAME,
    broken,
    size,
)
from server.export.costs import costs, learning_costs, not_counted
from server.export.measured import Answer, FileParity, Parity
from server.report.page import Page, Section, Tile

__all__ = ["parity_page"]


def parity_page(found: Parity, about: About) -> Page:
    """The page, to be rendered as HTML or as Markdown.

    Args:
        found: what all runtimes made of the files.
        about: what the files say of themselves.
    """
    page = Page(
        f"{about.name}: what runtimes make of it", _subtitle(about), tiles=list(_tiles(found))
    )
    wrong = [(error.message,) for error in broken(found)]
    if wrong:
        page.sections.append(Section("Failed", header=("what is out of bounds",), rows=wrong))
    page.sections += [
        costs(found),
        *(one for one in (learning_costs(found), not_counted(found)) if one.rows),
        Section(
            "Runtimes",
            "Every file in every runtime that is installed here, held against float64. A board is "
            "given the first samples only, and no metric is taken of them.",
            ("file", "runtime", "SQNR, dB", "worst difference", found.metric or "metric"),
            [_answer(part, one) for part in found.files for one in part.answers],
        ),
        *(
            Section(
                f"Layers of {part.file}",
                "Signal over quantisation noise after each layer.",
                ("tensor", "SQNR, dB"),
                part.layers,
                half=True,
            )
            for part in found.files
            if part.layers
        ),
        Section("Bounds", header=("what", "bound", "here"), rows=list(_bounds(found))),
        Section("Digests", header=("file", "SHA-256"), rows=list(_digests(found))),
    ]
    if found.options:
        made = "; ".join(f"{name}: {_said(value)}" for name, value in found.options.items())
        page.sections.append(Section("Options", f"{made}."))
    return page


def _subtitle(about: About) -> str:
    return " · ".join(f"{key}: {value}" for key, value in about.fields().items() if key != "name")


def _tiles(found: Parity) -> Iterator[Tile]:
    yield Tile("samples", str(found.samples), found.of)
    if found.reference is not None:
        yield Tile(f"{found.metric}, float64", f"{found.reference:.4g}")
    if any(not part.int8 for part in found.files):
        allowed = f"of the largest output; at most {FLOAT_TOLERANCE:g}"
        yield Tile("worst of float32", _number(_worst_share(found), ".1g"), allowed)
    coarse = [part for part in found.files if part.int8]
    if coarse:
        yield Tile("worst SQNR, dB", _number(_least(coarse), ".1f"), f"at least {INT8_SQNR:g}")
        alike = _alike(found)
        value = "-" if alike is None else f"{alike:.0f}"
        yield Tile("runtimes agree, dB", value, _remark(coarse))


def _remark(coarse: list[FileParity]) -> str:
    """What to know of how runtimes agree: where there was one only, it says nothing."""
    alone = [part.file for part in coarse if part.agreement is None]
    bound = [] if len(alone) == len(coarse) else [f"at least {INT8_AGREEMENT:g}"]
    return "; ".join(bound + ([f"only one ran {', '.join(alone)}"] if alone else []))


def _worst_share(found: Parity) -> float:
    """Infinite where a runtime failed or none is here."""
    exact = [part for part in found.files if not part.int8]
    worst = max((one.worst for part in exact for one in part.on_all), default=math.inf)
    return worst / size(found)


def _least(coarse: list[FileParity]) -> float:
    """Infinite where a runtime failed or none is here."""
    failed = any(one.failed for part in coarse for one in part.on_all)
    return math.inf if failed else min(part.sqnr if part.answers else math.inf for part in coarse)


def _number(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else "failed"


def _alike(found: Parity) -> float | None:
    known = [part.agreement for part in found.files if part.int8 and part.agreement is not None]
    return min(known, default=None)


def _answer(part: FileParity, one: Answer) -> tuple[Any, ...]:
    if one.failed:
        return part.file, one.runtime, "failed", "-", "-"
    metric = "" if one.metric is None else one.metric
    return part.file, one.runtime, one.sqnr, one.worst, metric


def _bounds(found: Parity) -> Iterator[tuple[Any, ...]]:
    exact = [part for part in found.files if not part.int8]
    coarse = [part for part in found.files if part.int8]
    boards = [part for part in found.files if part.instructions]
    if exact:
        what = "worst of float32, as a share of the largest output"
        yield what, f"at most {FLOAT_TOLERANCE:g}", _number(_worst_share(found), ".4g")
    if coarse:
        yield "worst SQNR, dB", f"at least {INT8_SQNR:g}", _number(_least(coarse), ".4g")
        alike = _alike(found)
        here = "only one ran" if alike is None else alike
        yield "runtimes agree on a quantised file, dB", f"at least {INT8_AGREEMENT:g}", here
    if boards:
        what = "the board differs from our learner here, as a share of the largest output"
        yield what, f"at most {SAME:g}", max(part.apart for part in boards) / size(found)


def _digests(found: Parity) -> Iterator[tuple[str, str]]:
    for part in found.files:
        inside = " (of the .tflite inside)" if part.file.endswith(".h") else ""
        yield part.file, f"{part.sha256}{inside}"
        if part.header:
            yield part.header, f"holds {part.file}"


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
