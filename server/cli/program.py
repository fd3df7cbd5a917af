"""How the command is called from the shell that started it, for hints that can be copied."""

import shutil
import sys
from pathlib import Path

__all__ = ["program"]


def program() -> str:
    """The command: `tinyfleet` where a shell finds it, else its path, else Python's module."""
    started = Path(sys.argv[0])
    path = started if started.name == "tinyfleet" else Path(sys.executable).with_name("tinyfleet")
    path = path.absolute()
    found = shutil.which("tinyfleet")
    if found is not None and Path(found).absolute() == path:
        return "tinyfleet"
    here = Path.cwd()
    if path.is_file():
        return str(path.relative_to(here) if path.is_relative_to(here) else path)
    return f"{sys.executable} -m server.cli"
