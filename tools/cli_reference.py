"""Write docs/CLI.md from the help of every command: `python tools/cli_reference.py`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 96


def pages(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """The full name and the help text of a command and of all below it."""
    name = " ".join(("tinyfleet", *path))
    context = command.context_class(
        command, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH
    )
    lines = command.get_help(context).splitlines()
    yield name, "\n".join(line.rstrip() for line in lines).strip()
    for child, below in getattr(command, "commands", {}).items():
        yield from pages(below, (*path, child))


def reference() -> str:
    """The whole document."""
    import typer

    from server.cli.app import app

    parts = ["# Commands\n\nWritten by `python tools/cli_reference.py` from the help texts.\n"]
    for name, text in pages(typer.main.get_command(app)):
        parts.append(f"## {name}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    (ROOT / "docs" / "CLI.md").write_text(reference())
