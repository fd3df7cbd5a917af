"""Where the catalogue is that a command reads."""

import re
from pathlib import Path

from edge.errors import UsageError

__all__ = ["existing"]


_ADDRESS = re.compile(r"(https?):/+(.*)")


def existing(path: Path) -> str | Path:
    """The folder, if there is one; or the address of an endpoint, which a path has cut.

    Raises:
        UsageError: there is none.
    """
    if found := _ADDRESS.fullmatch(str(path)):
        return f"{found[1]}://{found[2]}"
    if not path.is_dir():
        raise UsageError(f"there is no catalogue at {path}.", hint="--catalog runs/ID/catalog")
    return path
