"""The picture of a model's lineage: each version a box, each derivation an arrow, as SVG."""

from collections import defaultdict
from html import escape
from typing import Any

from ontology import resolve
from ontology.catalog import Catalog
from ontology.gate import bind
from ontology.namespaces import MODEL_PREFIX
from ontology.terms import Iri

__all__ = ["lineage_svg"]

_EDGES = """SELECT DISTINCT ?child ?parent WHERE {
  { ?model prov:wasDerivedFrom* ?child . ?child prov:wasDerivedFrom ?parent }
  UNION { ?child prov:wasDerivedFrom+ ?model . ?child prov:wasDerivedFrom ?parent } }"""
_FACTS = """SELECT ?name ?dataType ?round ?contributors WHERE { ?model a tf:Model
  OPTIONAL { ?model dct:title ?name } OPTIONAL { ?model tf:dataType ?dataType }
  OPTIONAL { ?model prov:wasGeneratedBy ?it . ?it tf:roundNumber ?round
    OPTIONAL { ?it tf:contributorCount ?contributors } } }"""
_WIDE, _HIGH, _GAP_X, _GAP_Y, _EDGE = 280, 54, 24, 34, 12
_LETTERS = 27
_SHOWN = 6
"""Generations to each side of the model; further ones are counted."""


def lineage_svg(catalog: Catalog, name: str) -> str:
    """Draw a model between what it was made from, above, and what was made from it, below.

    Raises:
        UsageError: no model has the name.
    """
    model = resolve.model(catalog.store, name)
    edges = [
        (str(row["child"]), str(row["parent"]))
        for row in catalog.query(bind(_EDGES, {"model": model}), max_rows=1 << 30)
    ]
    ranks = _ranks(str(model), edges)
    middle = ranks[str(model)]
    shown = {iri: rank for iri, rank in ranks.items() if abs(rank - middle) <= _SHOWN}
    rows: dict[int, list[str]] = defaultdict(list)
    for iri in sorted(shown):
        rows[shown[iri]].append(iri)
    first, wide = min(rows), max(map(len, rows.values()))
    places = {}
    for rank, names in rows.items():
        left = (wide - len(names)) * (_WIDE + _GAP_X) / 2
        for index, iri in enumerate(names):
            x = _EDGE + left + index * (_WIDE + _GAP_X)
            places[iri] = (x, _EDGE + (rank - first) * (_HIGH + _GAP_Y))
    parts = [_arrow(places[p], places[c]) for c, p in edges if c in places and p in places]
    for iri, place in places.items():
        facts = next(iter(catalog.query(bind(_FACTS, {"model": Iri(iri)}))), {})
        parts.append(_box(place, iri, facts, own=iri == str(model)))
    width = 2 * _EDGE + wide * (_WIDE + _GAP_X) - _GAP_X
    height = 2 * _EDGE + len(rows) * (_HIGH + _GAP_Y) - _GAP_Y
    left_out = len(ranks) - len(shown)
    if left_out:
        height += 22
        parts.append(_text(_EDGE, height - 8, f"and {left_out} further away", "#51606d", 12))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="system-ui, sans-serif">'
        f'<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#8a99a6"/></marker></defs>'
        f"{''.join(parts)}</svg>"
    )


def _ranks(model: str, edges: list[tuple[str, str]]) -> dict[str, int]:
    """How many derivations each version is from the eldest; each below all it was made from."""
    ranks = {model: 0} | {iri: 0 for edge in edges for iri in edge}
    for _ in range(len(ranks)):
        moved = False
        for child, parent in edges:
            if ranks[child] <= ranks[parent]:
                ranks[child], moved = ranks[parent] + 1, True
        if not moved:
            break
    return ranks


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    x1, y1, x2, y2 = start[0] + _WIDE / 2, start[1] + _HIGH, end[0] + _WIDE / 2, end[1] - 1
    bend = (y2 - y1) / 2
    return (
        f'<path d="M{x1:g} {y1:g}C{x1:g} {y1 + bend:g} {x2:g} {y2 - bend:g} {x2:g} {y2:g}" '
        f'fill="none" stroke="#8a99a6" stroke-width="1.4" marker-end="url(#tip)"/>'
    )


def _box(place: tuple[float, float], iri: str, facts: dict[str, Any], *, own: bool) -> str:
    x, y = place
    fill, line = ("#e3f0fa", "#1b6ca8") if own else ("#ffffff", "#c4d0da")
    title = _short(str(facts.get("name") or "unknown"))
    about = [iri.removeprefix(MODEL_PREFIX)[:10]]
    if facts.get("dataType"):
        about.append(str(facts["dataType"]))
    if facts.get("round") is not None:
        about.append(f"round {facts['round']}")
    if facts.get("contributors") is not None:
        about.append(f"{facts['contributors']} devices")
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{_WIDE}" height="{_HIGH}" rx="6" fill="{fill}" '
        f'stroke="{line}" stroke-width="{1.8 if own else 1}"/>'
        + _text(x + 12, y + 23, title, "#1d2730", 14, bold=True)
        + _text(x + 12, y + 42, " · ".join(about)[:44], "#51606d", 11)
    )


def _short(name: str) -> str:
    """A name that fits, cut in its middle: versions differ at the end."""
    return name if len(name) <= _LETTERS else f"{name[:13]}…{name[-13:]}"


def _text(x: float, y: float, text: str, colour: str, size: int, *, bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}"{weight}>'
        f"{escape(text)}</text>"
    )
