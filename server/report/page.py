"""The one-page report of a run: sections of prose, tables, text and one picture, as HTML."""

import base64
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2730; max-width: 62rem; margin: 2rem auto;
       padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; margin: .6rem 0; } td, th { padding: .25rem .8rem .25rem 0;
       text-align: left; border-bottom: 1px solid #dde4ea; vertical-align: top; }
th { font-weight: 600; color: #51606d; } td { font-variant-numeric: tabular-nums; }
pre { background: #f4f7f9; padding: .7rem 1rem; overflow-x: auto; font-size: 13px; }
img { width: 100%; } p.note { color: #51606d; }
.tiles { display: flex; flex-wrap: wrap; gap: .7rem; margin: 1.2rem 0; }
.tile { flex: 1 1 8.5rem; border: 1px solid #dde4ea; border-radius: .5rem; padding: .6rem .9rem; }
.tile span { display: block; color: #51606d; font-size: .82rem; }
.tile b { font-size: 1.45rem; color: #1b6ca8; font-weight: 600; white-space: nowrap; }
.pair { display: flex; flex-wrap: wrap; gap: 1rem; } .pair section { flex: 1 1 26rem; }
@media print { body { margin: 0; max-width: none; } section { break-inside: avoid; } }
"""


@dataclass(frozen=True)
class Section:
    """One part of the page; whatever is empty is left out.

    Args:
        title: the heading.
        prose: one paragraph.
        header: column names of the table.
        rows: cells of the table; floats are shown with four digits.
        text: preformatted text, such as a query and its answer.
        picture: a PNG file or the bytes of an SVG to show, embedded in the page.
        half: takes half of the page's width, beside another such one.
    """

    title: str
    prose: str = ""
    header: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    text: str = ""
    picture: Path | bytes | None = None
    half: bool = False


@dataclass(frozen=True)
class Tile:
    """One figure in large letters, with its name above and a remark below."""

    name: str
    value: str
    remark: str = ""


@dataclass
class Page:
    """A report: a title, one line below it, a row of figures, and sections."""

    title: str
    subtitle: str
    sections: list[Section] = field(default_factory=list)
    tiles: Sequence[Tile] = ()

    def html(self) -> str:
        """Render the page as one self-contained HTML document."""
        body = "\n".join(
            f'<div class="pair">{"".join(map(_section, group))}</div>'
            if half
            else "\n".join(map(_section, group))
            for half, group in itertools.groupby(self.sections, lambda section: section.half)
        )
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(self.title)}</title><style>{STYLE}</style></head>\n<body>"
            f'<h1>{escape(self.title)}</h1><p class="note">{escape(self.subtitle)}</p>\n'
            f"{_tiles(self.tiles)}{body}\n</body></html>\n"
        )


def _tiles(tiles: Sequence[Tile]) -> str:
    cells = "".join(
        f'<div class="tile"><span>{escape(tile.name)}</span><b>{escape(tile.value)}</b>'
        f"<span>{escape(tile.remark)}</span></div>"
        for tile in tiles
    )
    return f'<div class="tiles">{cells}</div>\n' if cells else ""


def _section(section: Section) -> str:
    parts = [f"<h2>{escape(section.title)}</h2>"]
    if section.prose:
        parts.append(f"<p>{escape(section.prose)}</p>")
    if section.picture is not None:
        kind, raw = "svg+xml", section.picture
        if isinstance(raw, Path):
            kind, raw = "png", raw.read_bytes()
        data = base64.b64encode(raw).decode()
        parts.append(f'<img alt="{escape(section.title)}" src="data:image/{kind};base64,{data}">')
    if section.rows:
        head = "".join(f"<th>{escape(name)}</th>" for name in section.header)
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(shown(cell))}</td>" for cell in row) + "</tr>"
            for row in section.rows
        )
        parts.append(f"<table><tr>{head}</tr>{rows}</table>")
    if section.text:
        parts.append(f"<pre>{escape(section.text)}</pre>")
    return "<section>" + "\n".join(parts) + "</section>"


def shown(value: Any) -> str:
    """A cell as text: floats with four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
