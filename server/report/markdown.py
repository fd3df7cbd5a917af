"""A page as Markdown: the same tiles, sections and tables, without pictures."""

from collections.abc import Iterator, Sequence
from typing import Any

from server.report.page import Page, Section, shown

__all__ = ["markdown"]


def markdown(page: Page) -> str:
    """Render a page as GitHub-flavoured Markdown."""
    lines = [f"# {page.title}", "", page.subtitle, ""]
    for tile in page.tiles:
        remark = f" ({tile.remark})" if tile.remark else ""
        lines.append(f"- {tile.name}: **{tile.value}**{remark}")
    for section in page.sections:
        lines += ["", *_section(section)]
    return "\n".join(lines).strip() + "\n"


def _section(section: Section) -> Iterator[str]:
    yield f"## {section.title}"
    if section.prose:
        yield from ("", section.prose)
    if section.rows:
        yield from ("", _row(section.header), _row(["---"] * len(section.header)))
        yield from map(_row, section.rows)
    if section.text:
        yield from ("", "```text", section.text, "```")


def _row(cells: Sequence[Any]) -> str:
    return "| " + " | ".join(shown(cell).replace("|", "\\|") for cell in cells) + " |"
