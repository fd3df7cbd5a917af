"""The one-page report of a run: sections of prose, tables, text and one picture, as HTML."""

import base64
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
img { max-width: 100%; } p.note { color: #51606d; }
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
        picture: a PNG to show, embedded in the page.
    """

    title: str
    prose: str = ""
    header: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    text: str = ""
    picture: Path | None = None


@dataclass
class Page:
    """A report: a title, one line below it, and sections."""

    title: str
    subtitle: str
    sections: list[Section] = field(default_factory=list)

    def html(self) -> str:
        """Render the page as one self-contained HTML document."""
        body = "\n".join(_section(section) for section in self.sections)
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(self.title)}</title><style>{STYLE}</style></head>\n<body>"
            f'<h1>{escape(self.title)}</h1><p class="note">{escape(self.subtitle)}</p>\n'
            f"{body}\n</body></html>\n"
        )


def _section(section: Section) -> str:
    parts = [f"<h2>{escape(section.title)}</h2>"]
    if section.prose:
        parts.append(f"<p>{escape(section.prose)}</p>")
    if section.picture is not None:
        data = base64.b64encode(section.picture.read_bytes()).decode()
        parts.append(f'<img alt="{escape(section.title)}" src="data:image/png;base64,{data}">')
    if section.rows:
        head = "".join(f"<th>{escape(name)}</th>" for name in section.header)
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(_cell(cell))}</td>" for cell in row) + "</tr>"
            for row in section.rows
        )
        parts.append(f"<table><tr>{head}</tr>{rows}</table>")
    if section.text:
        parts.append(f"<pre>{escape(section.text)}</pre>")
    return "\n".join(parts)


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
